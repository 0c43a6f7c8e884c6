// Units that are active over a range, and the other moments where most of them are (Strobelt et al.
// 2018, LSTMVis). Nothing here touches the page.

function isActive(value, sense, threshold) {
  if (sense === "below") return value <= threshold;
  return (sense === "size" ? Math.abs(value) : value) >= threshold;
}

// Steps of one segment only: past a start of a segment is another sequence.
function isNeighbour(inside, outside, backwards) {
  if (outside < 0 || outside >= data.steps || !isValid(outside)) return false;
  const later = Math.max(inside, outside);
  const entered = backwards ? later - 1 : later; // the step of the two that is visited second
  return !starts.has(entered);
}

function unitsOver(map, [from, to], { sense, threshold, outside, backwards }) {
  const units = [];
  const edges = !outside ? [] : [[from, from - 1], [to, to + 1]]
    .filter(([inside, beyond]) => isNeighbour(inside, beyond, backwards))
    .map(([, beyond]) => beyond);
  for (let unit = 0; unit < map.units; unit++) {
    let all = true;
    for (let t = from; t <= to && all; t++) {
      all = isValid(t) && isActive(map.at(unit, t), sense, threshold);
    }
    if (all && !edges.some((t) => isActive(map.at(unit, t), sense, threshold))) units.push(unit);
  }
  return units;
}

// The number of these units that are active at each step; 0 in the padding.
function countActive(map, units, { sense, threshold }) {
  return Array.from({ length: data.steps }, (_, t) => isValid(t)
    ? units.filter((unit) => isActive(map.at(unit, t), sense, threshold)).length : 0);
}

// Runs of steps outside the range where the share is reached, the fullest first, then the longest.
function momentsOf(counts, [from, to], needed, backwards) {
  const moments = [];
  let last = null;
  for (let t = 0; t < counts.length; t++) {
    if (counts[t] < needed || (t >= from && t <= to)) continue;
    if (last && last.to === t - 1 && isNeighbour(t - 1, t, backwards)) {
      last.to = t;
      last.total += counts[t];
      last.most = Math.max(last.most, counts[t]);
    } else {
      last = { from: t, to: t, total: counts[t], most: counts[t] };
      moments.push(last);
    }
  }
  const mean = (m) => m.total / (m.to - m.from + 1);
  return moments.sort((a, b) => mean(b) - mean(a) || (b.to - b.from) - (a.to - a.from) || a.from - b.from);
}
