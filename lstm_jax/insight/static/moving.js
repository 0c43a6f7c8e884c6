// Moving in time and among the units: markers, the numbers of one unit, and attributions.

function showStep(step) {
  const old = spans[chosen.step];
  chosen.step = step = clamp(step, 0, data.steps - 1);
  for (const span of Object.values(old)) span.classList.remove("current");
  for (const span of Object.values(spans[step])) span.classList.add("current");
  $("step").value = step;
  const words = !isValid(step) ? " · padding" : data.tokens ? ` · ${visible(token(step))}` : "";
  const share = isValid(step) && data.attribution ? ` · attribution ${attributionAt(step)}` : "";
  $("where").textContent = `step ${step} of ${data.steps}${words}${share}`;
  $("step").setAttribute("aria-valuetext", $("where").textContent);
  const { width } = chosen;
  const marker = $("marker");
  const label = $("axis").firstElementChild.offsetWidth;
  marker.style.left = `${label + step * width - 1}px`;
  marker.style.width = `${width + 2}px`;
  const scroller = $("scroller");
  const room = scroller.clientWidth - label;
  if (step * width < scroller.scrollLeft || (step + 1) * width > scroller.scrollLeft + room) {
    scroller.scrollLeft = step * width - room / 2;
  }
  const { text } = spans[step];
  if (text) {
    const box = $("text");
    const top = text.offsetTop - box.offsetTop;
    if (top < box.scrollTop || top + text.offsetHeight > box.scrollTop + box.clientHeight) {
      box.scrollTop = top - box.clientHeight / 2;
    }
  }
  showValues();
}

function showUnit(unit) {
  chosen.unit = unit = clamp(unit, 0, Math.max(0, chosen.part.units - 1));
  $("unit").value = unit;
  $("unit-title").textContent = `Unit ${unit}`;
  for (const map of linked()) {
    const line = map.row.querySelector(".unit-line");
    const height = rowHeight(map, chosen.height);
    line.style.top = `${unit * height - (height < 3 ? 1 : 0)}px`;
    line.style.height = `${height}px`;
    drawLine(map.canvas, map, unit);
  }
  for (const button of $("units-found").children) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.unit) === unit));
  }
  showStep(chosen.step);
}

function showValues() {
  const { part, unit, step } = chosen;
  const rows = $("values").tBodies[0].rows;
  linked().forEach((map, i) => {
    rows[i].cells[2].textContent = isValid(step) ? format(map.at(unit, step), map.digits) : "padding";
    rows[i].querySelector("i").style.left = `${((step + 0.5) / data.steps) * 100}%`;
  });
  for (const shape of $("diagram").querySelectorAll("[data-value]")) {
    const key = shape.dataset.value;
    const earlier = key.startsWith("previous:");
    const map = linked().find((m) => m.key === key.replace(/^previous:/, "state:"));
    if (!map || (earlier && !map.before)) {
      paint(shape, "–", PADDED); // the trace does not have it
      continue;
    }
    const value = !isValid(step) ? NaN
      : earlier ? map.before(unit, step, part.reverse) : map.at(unit, step);
    paint(shape, isValid(step) ? format(value, Math.min(map.digits, 4)) : "–", isValid(step) ? colour(map, value) : PADDED);
  }
}

function paint(shape, words, rgb) {
  const isText = (node) => ["text", "tspan"].includes(node.localName);
  const texts = isText(shape) ? [shape] : [...shape.querySelectorAll("text[data-role=value]")];
  for (const node of texts) node.textContent = words;
  if (isText(shape)) return;
  const areas = shape.localName === "g" ? shape.querySelectorAll("rect, circle, ellipse") : [shape];
  for (const area of areas) area.style.fill = css(rgb);
  for (const node of shape.querySelectorAll("text")) node.style.fill = inkOn(rgb);
}

const severalInputs = () => data.attribution && data.attribution.names.length > 1;

function attributionAt(step) {
  const map = data.attribution;
  return format(map.at(Number($("column").value), step), map.digits);
}

function showAttribution() {
  const map = data.attribution;
  const column = Number($("column").value);
  const values = Array.from({ length: data.steps }, (_, t) => isValid(t) ? map.at(column, t) : 0);
  const largest = Math.max(...values.map((v) => Number.isFinite(v) ? Math.abs(v) : 0)) || 1;
  const scaled = { scale: [-largest, largest] };
  const colours = values.map((v) => colour(scaled, v));
  values.forEach((v, t) => {
    const { text } = spans[t];
    if (!text || !isValid(t)) return;
    text.style.background = css(colours[t]);
    text.style.color = inkOn(colours[t]);
    text.title = `step ${t}, attribution ${format(v, map.digits)}`;
  });
  const signed = values.some((v) => v < 0);
  drawBars($("bars"), values.map((v) => (Number.isFinite(v) ? v : 0) / largest),
    values.map((v) => Number.isFinite(v) ? (v < 0 ? "#2166ac" : "#b2182b") : css(STRANGE)), signed);
  $("attribution-key").textContent = `red raises the output, blue lowers it; the largest is ${shorten(largest)}`;
  showStep(chosen.step);
}
