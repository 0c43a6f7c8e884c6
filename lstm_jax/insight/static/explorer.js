// What is chosen, and what follows from it. Heat maps are drawn when the part changes; moving in
// time moves a marker, and writes the numbers of one unit.

const chosen = { part: data.parts[0], unit: 0, step: 0, range: null, width: 16, height: 1 };
const spans = []; // of each step: one in the text, if there is one, and one above the maps
let searched = { units: [], moments: [] };

const clamp = (value, low, high) => Math.min(high, Math.max(low, Math.round(value) || 0));
const linked = () => chosen.part.maps.filter((map) => map.linked);
const NO_GATES = ["query", "key", "value", "candidate"]; // although a cell lists them with its gates
const titleOf = (map) => map.group === "gates" && !NO_GATES.includes(map.label) ? `${map.label} gate` : map.label;

function buildSteps() {
  const text = $("text");
  const steps = $("steps");
  const characters = data.tokens && data.tokens.every((t) => [...t].length <= 1);
  for (let t = 0; t < data.steps; t++) {
    const words = data.tokens ? visible(token(t)) : "";
    const above = element("span", { "data-step": t, title: `step ${t} ${words}` }, words);
    const pair = { above };
    if (!isValid(t)) above.classList.add("padding");
    steps.append(above);
    if (data.tokens && (isValid(t) || words)) {
      pair.text = element("span", { "data-step": t, title: `step ${t}` }, words || " ");
      if (!isValid(t)) pair.text.classList.add("padding");
      if (starts.has(t) && t > 0) pair.text.classList.add("start");
      text.append(pair.text, characters ? "" : " ");
    }
    spans.push(pair);
  }
  for (const box of [text, steps]) listenForRange(box);
}

function listenForRange(box) {
  let first = null;
  const stepAt = (event) => {
    const found = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-step]");
    return found && box.contains(found) ? Number(found.dataset.step) : null;
  };
  box.addEventListener("pointerdown", (event) => {
    first = event.button === 0 ? stepAt(event) : null;
    if (first === null) return;
    showStep(first);
    event.preventDefault();
  });
  box.addEventListener("pointermove", (event) => {
    const step = first === null ? null : stepAt(event);
    if (step !== null && (step !== first || chosen.range)) setRange(first, step);
  });
  addEventListener("pointerup", () => { first = null; });
}

const KEYS = {
  ArrowLeft: () => showStep(chosen.step - 1), ArrowRight: () => showStep(chosen.step + 1),
  PageUp: () => showStep(chosen.step - 10), PageDown: () => showStep(chosen.step + 10),
  Home: () => showStep(0), End: () => showStep(data.steps - 1),
  ArrowUp: () => showUnit(chosen.unit - 1), ArrowDown: () => showUnit(chosen.unit + 1),
  Escape: () => { chosen.range = null; anchor = null; showRange(); },
};
let anchor = null; // where marking with Shift began

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  const { target } = event;
  const writes = ["INPUT", "SELECT"].includes(target.tagName) && target.id !== "step" && target.type !== "checkbox";
  if (writes && event.key !== "Escape") return; // the keys are the field's
  event.preventDefault();
  const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
  if (sideways && event.shiftKey && anchor === null) anchor = chosen.step;
  if (!event.shiftKey) anchor = null;
  KEYS[event.key]();
  if (sideways && event.shiftKey) setRange(anchor, chosen.step);
});

function start() {
  $("step").max = data.steps - 1;
  $("unit-title").setAttribute("aria-live", "polite");
  data.parts.forEach((part, i) => $("part").append(element("option", { value: i }, part.label)));
  $("part-label").hidden = data.parts.length < 2;
  $("sequence").hidden = !data.tokens;
  $("bars-row").hidden = !data.attribution;
  $("column-label").hidden = !severalInputs();
  if (data.tokens) $("axis").firstElementChild.textContent = "token";
  buildSteps();
  if (data.attribution) {
    prepare(data.attribution);
    if (severalInputs()) $("inputs-row").append(rowOf(data.attribution));
    data.attribution.names.forEach((name, i) => $("column").append(element("option", { value: i }, name)));
    $("column").addEventListener("change", showAttribution);
  }
  const room = $("scroller").clientWidth - $("axis").firstElementChild.offsetWidth;
  chosen.width = clamp(Math.floor(room / data.steps), data.tokens ? 16 : 2, 40);
  $("zoom").value = chosen.width;

  $("part").addEventListener("change", () => showPart(Number($("part").value)));
  $("step").addEventListener("input", () => showStep($("step").valueAsNumber));
  $("back").addEventListener("click", () => showStep(chosen.step - 1));
  $("on").addEventListener("click", () => showStep(chosen.step + 1));
  $("unit").addEventListener("change", () => showUnit($("unit").valueAsNumber));
  $("unit").addEventListener("input", () => { if ($("unit").value !== "") showUnit($("unit").valueAsNumber); });
  $("zoom").addEventListener("input", () => { chosen.width = $("zoom").valueAsNumber; layOut(); });
  $("rows").addEventListener("input", () => { chosen.height = $("rows").valueAsNumber; layOut(); });
  for (const [id, otherId, further] of [["range-from", "range-to", Math.max], ["range-to", "range-from", Math.min]]) {
    $(id).addEventListener("change", () => {
      const [entered, other] = [$(id).valueAsNumber, $(otherId).valueAsNumber];
      if (Number.isNaN(entered)) KEYS.Escape();
      else setRange(entered, Number.isNaN(other) ? entered : further(entered, other));
    });
  }
  $("clear").addEventListener("click", KEYS.Escape);
  for (const id of ["quantity", "sense"]) {
    $(id).addEventListener("change", () => { chooseThreshold(); search(); });
  }
  for (const id of ["threshold", "outside", "share"]) $(id).addEventListener("input", search);
  addEventListener("resize", () => showUnit(chosen.unit));
  if (data.diagram) $("diagram").innerHTML = data.diagram; // from the library: no text of the user's
  showPart(0);
  if (data.attribution) showAttribution();
}

start();
