// The marked steps, and what the search lists.

function setRange(a, b) {
  const [from, to] = a <= b ? [a, b] : [b, a];
  chosen.range = [clamp(from, 0, data.steps - 1), clamp(to, 0, data.steps - 1)];
  showRange();
}

function showRange() {
  const { range, width } = chosen;
  $("range-from").value = range ? range[0] : "";
  $("range-to").value = range ? range[1] : "";
  spans.forEach((pair, t) => {
    const marked = range !== null && t >= range[0] && t <= range[1];
    for (const span of Object.values(pair)) span.classList.toggle("marked", marked);
  });
  const band = $("band");
  band.hidden = !range;
  if (range) {
    band.style.left = `${$("axis").firstElementChild.offsetWidth + range[0] * width}px`;
    band.style.width = `${(range[1] - range[0] + 1) * width}px`;
  }
  search();
}

const quantity = () => chosen.part.maps[Number($("quantity").value)];

function chooseThreshold() {
  const map = quantity();
  if (!map) return;
  const [low, high] = map.scale;
  const half = $("sense").value === "below" && low < 0 ? low / 2 : high / 2;
  $("threshold").value = Number(half.toPrecision(2));
  $("threshold").step = Number(((high - low) / 100 || 1).toPrecision(1));
}

function search() {
  const map = quantity();
  const { range } = chosen;
  const backwards = chosen.part.reverse;
  const threshold = $("threshold").valueAsNumber;
  $("units-found").replaceChildren();
  $("moments").replaceChildren();
  $("moments-summary").textContent = "";
  $("found-row").hidden = !range || !map;
  if (!range || !map || Number.isNaN(threshold)) {
    $("units-summary").textContent = !range ? "No steps are marked." : "The threshold is not a number.";
    return;
  }
  const how = { sense: $("sense").value, threshold, outside: $("outside").checked, backwards };
  const units = unitsOver(map, range, how);
  const counts = countActive(map, units, how);
  const needed = Math.max(1, Math.ceil((clamp($("share").value, 1, 100) / 100) * units.length - 1e-9));
  const moments = units.length ? momentsOf(counts, range, needed, backwards) : [];
  searched = { units, moments };
  const many = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  $("units-summary").textContent = `${many(units.length, "unit")} active over steps ${range[0]} to ${range[1]}`;
  $("units-found").append(...units.map((unit) => element("button", {
    type: "button", "data-unit": unit, "aria-label": `unit ${unit}`, "aria-pressed": String(unit === chosen.unit),
    onclick: () => showUnit(unit),
  }, String(unit))));
  if (units.length) {
    $("moments-summary").textContent = `${many(moments.length, "other moment")} with ${needed} or more of ${units.length}`;
  }
  $("moments").append(...moments.slice(0, 100).map((moment) => momentItem(moment, units.length)));
  if (moments.length > 100) $("moments").append(element("li", {}, `and ${moments.length - 100} more`));
  drawBars($("found"), counts.map((n) => units.length ? n / units.length : 0),
    counts.map((n) => n >= needed ? "#1a7f37" : "#a5afb8"), false);
}

function momentItem(moment, all) {
  const { from, to, most } = moment;
  const at = from === to ? `step ${from}` : `steps ${from}–${to}`;
  const words = element("span", { class: "words" });
  if (data.tokens) {
    const piece = (a, b) => data.tokens.slice(Math.max(0, a), b).map(visible);
    const glue = data.tokens.every((t) => [...t].length <= 1) ? "" : " ";
    words.append(`${piece(from - 3, from).join(glue)}${glue}`,
      element("mark", {}, piece(from, Math.min(to + 1, from + 12)).join(glue)),
      to + 1 > from + 12 ? "…" : `${glue}${piece(to + 1, to + 4).join(glue)}`);
  }
  return element("li", {}, element("button", {
    type: "button", "data-from": from, "data-to": to, "data-most": most, onclick: () => showStep(from),
  }, element("span", { class: "at" }, at), element("span", { class: "count" }, `${most} of ${all}`), words));
}
