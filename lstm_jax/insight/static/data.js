// What the page is given: maps of 16-bit codes [units, T], each with its own range.

const STEPS_OF_RANGE = 65532;
const NOT_FINITE = [NaN, -Infinity, Infinity]; // the three codes above the range
const data = JSON.parse(document.getElementById("data").textContent);

function decode(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const quantum = (packed.high - packed.low) / STEPS_OF_RANGE;
  const values = new Float64Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) {
    const code = view.getUint16(2 * i, true);
    values[i] = code > STEPS_OF_RANGE ? NOT_FINITE[code - STEPS_OF_RANGE - 1]
      : packed.low + code * quantum;
  }
  return values;
}

// Decoded when it is first shown: a page may have many parts.
function prepare(map) {
  if (map.values) return map;
  map.values = decode(map);
  map.at = (unit, step) => map.values[unit * data.steps + step];
  map.digits = digitsOf(map.low, map.high);
  if (map.previous) {
    const values = decode(map.previous);
    const place = new Map(map.previous.steps.map((step, i) => [step, i]));
    map.before = (unit, step, backwards) => place.has(step)
      ? values[place.get(step) * map.units + unit]
      : map.at(unit, step + (backwards ? 1 : -1));
  }
  return map;
}

// As many decimals as the rounding leaves.
function digitsOf(low, high) {
  const quantum = (high - low) / STEPS_OF_RANGE;
  return quantum > 0 ? Math.max(0, Math.ceil(-Math.log10(quantum))) : 4;
}

function format(value, digits) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (digits > 8 || Math.abs(value) >= 1e7) return value.toExponential(3);
  return value.toFixed(digits);
}

function shorten(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

// Colours: white to blue for values of 0 and more, blue over white to red around 0.

const SEQUENTIAL = ["#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b"];
const DIVERGING = ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"];
const STRANGE = [208, 0, 208]; // not finite
const PADDED = [205, 209, 213];

function table(stops) {
  const rgb = stops.map((s) => [1, 3, 5].map((i) => parseInt(s.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, i) => {
    const x = (i / 255) * (rgb.length - 1);
    const k = Math.min(Math.floor(x), rgb.length - 2);
    return rgb[k].map((c, j) => Math.round(c + (x - k) * (rgb[k + 1][j] - c)));
  });
}

const TABLES = { sequential: table(SEQUENTIAL), diverging: table(DIVERGING) };

function colour(map, value) {
  if (!Number.isFinite(value)) return STRANGE;
  const [low, high] = map.scale;
  const x = high > low ? (value - low) / (high - low) : 0;
  return TABLES[low < 0 ? "diverging" : "sequential"][Math.round(255 * Math.min(1, Math.max(0, x)))];
}

const css = (rgb) => `rgb(${rgb.join(",")})`;

// Black or white, whichever reads better on the colour (relative luminance of WCAG 2).
function inkOn(rgb) {
  const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
}

// Tokens

const isValid = (step) => data.valid[step] === "1";
const starts = new Set(data.resets);

function token(step) {
  return data.tokens ? data.tokens[step] : String(step);
}

// Spaces and line breaks as signs, so that they can be seen.
function visible(text) {
  if (text === " ") return "␣";
  return text.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll("\r", "␍");
}
