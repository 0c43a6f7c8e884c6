// The part that is shown: its heat maps, the table of the unit, and their sizes.

function showPart(index) {
  const part = (chosen.part = data.parts[index]);
  part.maps.forEach(prepare);
  $("rows-of-maps").replaceChildren(...part.maps.map(rowOf));
  $("shown").replaceChildren($("shown").firstElementChild, ...part.maps.map(switchOf));
  $("left-out").textContent = part.left_out.join(" ");
  $("quantity").replaceChildren(...linked().map((map) =>
    element("option", { value: part.maps.indexOf(map) }, titleOf(map))));
  const usual = linked().find((map) => map.key === "output") || linked()[0];
  $("quantity").value = usual ? part.maps.indexOf(usual) : "";
  $("search").hidden = !usual;
  $("unit").max = Math.max(0, part.units - 1);
  showDiagram(part.name);
  const rows = linked().map((map) => {
    const canvas = element("canvas", {});
    const spark = element("div", { class: "spark" }, canvas, element("i"));
    map.canvas = canvas;
    spark.addEventListener("click", (event) => {
      const box = spark.getBoundingClientRect();
      showStep(Math.floor(((event.clientX - box.left) / box.width) * data.steps));
    });
    return element("tr", { "data-key": map.key }, element("th", { scope: "row", title: titleOf(map) }, titleOf(map)),
      element("td", { class: "line" }, spark), element("td", { class: "value" }));
  });
  $("values").tBodies[0].replaceChildren(...rows);
  chooseThreshold();
  layOut();
  showUnit(Math.min(chosen.unit, Math.max(0, part.units - 1)));
}

// Of a diagram of several parts, that of one: the others are hidden, and the view fits the rest.
function showDiagram(name) {
  const drawn = [...$("diagram").querySelectorAll("[data-part]")];
  const own = drawn.find((group) => group.dataset.part === name);
  $("diagram-panel").hidden = !own;
  if (!own) return;
  for (const group of own.parentNode.children) {
    if (group.localName === "g") group.style.display = group === own ? "" : "none";
  }
  const box = own.getBBox();
  const down = own.transform.baseVal.consolidate()?.matrix.f || 0;
  const svg = own.ownerSVGElement;
  svg.removeAttribute("width"); // the style sheet's
  svg.removeAttribute("height");
  svg.style.maxWidth = `${box.width + 12}px`;
  svg.setAttribute("viewBox", `${box.x - 6} ${box.y + down - 6} ${box.width + 12} ${box.height + 12}`);
}

function rowOf(map) {
  const body = element("div", { class: "map-body" }, drawMap(map));
  if (map.linked) body.append(element("div", { class: "unit-line" }));
  const place = (event) => {
    const box = body.getBoundingClientRect();
    return [
      clamp(Math.floor(((event.clientY - box.top) / box.height) * map.units), 0, map.units - 1),
      clamp(Math.floor(((event.clientX - box.left) / box.width) * data.steps), 0, data.steps - 1),
    ];
  };
  body.addEventListener("click", (event) => {
    const [unit, step] = place(event);
    if (map.linked) showUnit(unit);
    showStep(step);
  });
  body.addEventListener("pointermove", (event) => {
    const [unit, step] = place(event);
    const value = isValid(step) ? format(map.at(unit, step), map.digits) : "padding";
    const which = map.names ? map.names[unit] : `${map.rows} ${unit}`;
    const words = data.tokens && isValid(step) ? ` ${visible(token(step))}` : "";
    showTip(event, `${titleOf(map)}, ${which}, step ${step}${words}: ${value}`);
  });
  body.addEventListener("pointerleave", () => { $("tip").hidden = true; });
  return (map.row = element("div", { class: "row map", "data-key": map.key },
    element("div", { class: "label" }, titleOf(map), ...scaleOf(map)), body));
}

function switchOf(map) {
  const box = element("input", { type: "checkbox" });
  box.checked = !map.hidden;
  map.row.hidden = Boolean(map.hidden);
  box.addEventListener("change", () => {
    map.hidden = !box.checked;
    map.row.hidden = map.hidden;
  });
  return element("label", {}, box, titleOf(map));
}

function showTip(event, text) {
  const tip = $("tip");
  tip.hidden = false;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - width - 4)}px`;
  tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
}

function layOut() {
  const width = chosen.width;
  const total = `${width * data.steps}px`;
  const inputs = severalInputs() ? [data.attribution] : [];
  for (const map of [...inputs, ...chosen.part.maps]) {
    const canvas = map.row.querySelector("canvas");
    canvas.style.width = total;
    canvas.style.height = `${rowHeight(map, chosen.height) * map.units}px`;
  }
  for (const id of ["bars", "found", "steps"]) $(id).style.width = total;
  const longest = data.tokens ? Math.max(...data.tokens.map((t) => [...visible(t)].length)) : 0;
  const flat = longest * 8 + 2 <= width;
  const steps = $("steps");
  steps.classList.toggle("upright", !flat);
  steps.classList.toggle("bare", !data.tokens || width < 10);
  const tall = !data.tokens || width < 10 ? 14 : flat ? 20 : Math.min(76, 10 + 7.5 * longest);
  steps.style.height = `${tall + 15}px`;
  const between = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000].find((n) => n * width >= 34) || 10000;
  steps.querySelectorAll("i, b").forEach((mark) => mark.remove());
  for (let t = 0; t < data.steps; t += between) {
    steps.append(element("i", { style: `left: ${t * width}px` }, String(t)));
  }
  const after = chosen.part.reverse ? 1 : 0; // a segment starts at its last step
  data.resets.forEach((t) => steps.append(element("b", { style: `left: ${(t + after) * width - 1}px`, title: "a segment starts here" })));
  spans.forEach(({ above }, t) => {
    above.style.left = `${t * width}px`;
    above.style.width = `${width}px`;
  });
  showUnit(chosen.unit);
  showRange();
}
