// Heat maps, drawn once into canvases of one pixel per value. Style sheets stretch them.

const $ = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function drawMap(map) {
  const canvas = element("canvas", { width: data.steps, height: map.units });
  const context = canvas.getContext("2d");
  const image = context.createImageData(data.steps, map.units);
  for (let unit = 0, i = 0; unit < map.units; unit++) {
    for (let t = 0; t < data.steps; t++, i += 4) {
      const rgb = isValid(t) ? colour(map, map.at(unit, t)) : PADDED;
      image.data.set(rgb, i);
      image.data[i + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function scaleOf(map) {
  const [low, high] = map.scale;
  const stops = (low < 0 ? DIVERGING : SEQUENTIAL).join(",");
  const strange = map.values.some((v, i) => !Number.isFinite(v) && isValid(i % data.steps));
  return [
    element("div", { class: "scale", style: `background: linear-gradient(to right, ${stops})` }),
    element("small", {}, element("span", {}, shorten(low)), element("span", {}, shorten(high))),
    ...(strange ? [element("span", { class: "note", style: `color: ${css(STRANGE)}` }, "■ not finite")] : []),
  ];
}

const rowHeight = (map, factor) => Math.min(14, Math.max(1, Math.floor(112 / map.units))) * factor;

// A line of one unit, as large as its place on the screen, and gaps where values are missing.
function drawLine(canvas, map, unit) {
  const ratio = window.devicePixelRatio || 1;
  const width = (canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio)));
  const height = (canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio)));
  const context = canvas.getContext("2d");
  const [low, high] = map.scale;
  const x = (t) => ((t + 0.5) / data.steps) * width;
  const y = (v) => height - 2 - (high > low ? (v - low) / (high - low) : 0.5) * (height - 4);
  context.strokeStyle = "#d0d7de";
  context.beginPath();
  context.moveTo(0, y(Math.max(low, 0)));
  context.lineTo(width, y(Math.max(low, 0)));
  context.stroke();
  context.strokeStyle = "#0550ae";
  context.lineWidth = 1.25 * ratio;
  context.beginPath();
  let open = false;
  for (let t = 0; t < data.steps; t++) {
    const value = map.at(unit, t);
    const shown = isValid(t) && Number.isFinite(value);
    if (shown && open) context.lineTo(x(t), y(value));
    else if (shown) context.moveTo(x(t), y(value));
    if (shown && data.steps === 1) context.lineTo(x(t) + 2 * ratio, y(value));
    open = shown;
  }
  context.stroke();
}

// One bar per step, up for positive and down for negative values.
function drawBars(canvas, heights, colours, signed) {
  canvas.width = data.steps * 4;
  const context = canvas.getContext("2d");
  const zero = signed ? canvas.height / 2 : canvas.height;
  context.clearRect(0, 0, canvas.width, canvas.height);
  heights.forEach((height, t) => {
    const size = height * (zero - 1);
    context.fillStyle = colours[t];
    context.fillRect(4 * t, Math.min(zero, zero - size), 4, Math.abs(size));
  });
  context.fillStyle = "#8c959f";
  context.fillRect(0, signed ? zero : zero - 1, canvas.width, 1);
}
