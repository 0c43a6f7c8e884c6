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
  for (const shape of shapesOf(part.name)) {
    const key = shape.dataset.value;
    if (key === "input") continue; // a trace does not have it
    const map = part.maps.find((m) => m.key === key.replace(/^previous:/, "state:"));
    paint(shape, isValid(step) && map ? valueFor(map, key, unit, step) : null, map);
  }
}

const shapesOf = (name) => $("diagram").querySelectorAll(`[data-part="${CSS.escape(name)}"] [data-value]`);

// The value of a unit, or of the head that it belongs to; or else the norm of all values.
function valueFor(map, key, unit, step) {
  const { part } = chosen;
  const read = (i) => !key.startsWith("previous:") ? map.at(i, step)
    : map.before ? map.before(i, step, part.reverse) : NaN;
  if (map.linked) return { number: read(unit), coloured: true };
  if (map.group === "gates" && part.units % map.units === 0) {
    return { number: read(Math.floor((unit * map.units) / part.units)), coloured: true };
  }
  return { number: Math.hypot(...Array.from({ length: map.units }, (_, i) => read(i))), coloured: false };
}

function paint(shape, value, map) {
  const text = shape.querySelector(".number");
  if (text) text.textContent = !value ? "–" : format(value.number, Math.min(map.digits, 4));
  const rgb = !value ? PADDED : value.coloured ? colour(map, value.number) : [255, 255, 255];
  for (const area of shape.querySelectorAll("rect, circle, ellipse")) area.style.fill = css(rgb);
  for (const words of shape.querySelectorAll("text")) words.style.fill = inkOn(rgb);
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
