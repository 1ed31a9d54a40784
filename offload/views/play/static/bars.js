/* Two charts over the same cuts: latency in stacked legs, and the device's energy. */
const WIDTH = 66; // of both vertical axes, so that the cuts of both stand below each other
const CUT_OFF = 6; // bars higher than so many times the best are cut off: the table has them

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const digits = (value) => Number(value.toPrecision(3)).toString();

export function charts(latency, energy, legs, pick) {
  const state = { answer: null, hidden: false, guess: null };
  Chart.defaults.animation = false;
  Chart.defaults.font.family = "system-ui, sans-serif";

  const upper = new Chart(latency, {
    type: "bar",
    data: { labels: [], datasets: [] },
    options: options("ms", true, (event) => {
      const [found] = upper.getElementsAtEventForMode(event, "index", { intersect: false }, true);
      if (found) pick(found.index);
    }),
    plugins: [marks(state)],
  });
  const lower = new Chart(energy, {
    type: "bar", data: { labels: [], datasets: [] }, options: options("mJ", false),
  });
  upper.options.plugins.tooltip.callbacks = {
    title: ([item]) => state.answer.bars[item.dataIndex].place,
    label: (item) => `${item.dataset.label}: ${digits(item.raw)} ms`,
    footer: ([item]) => {
      const bar = state.answer.bars[item.dataIndex];
      return [`in all ${digits(1e3 * bar.latency_s)} ms`, `${digits(bar.crossing_bytes / 1e3)} kB cross`];
    },
  };

  // Returns whether some bars are cut off.
  function draw(answer, { hidden = false, guess = null } = {}) {
    Object.assign(state, { answer, hidden, guess });
    Chart.defaults.color = css("--ink");
    const { bars } = answer;
    const labels = bars.map((bar) => bar.cut);
    const best = 1e3 * bars[answer.best].latency_s;
    upper.data = { labels, datasets: hidden ? [places(bars)] : stacks(bars, legs) };
    upper.options.scales.y.max = hidden ? 1 : Math.min(CUT_OFF * best, 1.12 * most(bars, "latency_s"));
    const frugal = 1e3 * bars[answer.frugal].energy_j;
    lower.options.scales.y.max = hidden ? 1 : Math.min(CUT_OFF * frugal, 1.12 * most(bars, "energy_j"));
    lower.data = { labels, datasets: hidden ? [] : [joules(bars)] };
    for (const chart of [upper, lower]) {
      colour(chart);
      chart.options.scales.y.ticks.display = !hidden;
      chart.options.plugins.tooltip.enabled = !hidden;
      chart.options.plugins.legend.display = chart === upper && !hidden;
      chart.update("none");
    }
    return !hidden && upper.options.scales.y.max < most(bars, "latency_s");
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (state.answer) draw(state.answer, { ...state });
  });
  return draw;
}

const most = (bars, figure) => 1e3 * Math.max(...bars.map((bar) => bar[figure]));

function stacks(bars, legs) {
  return legs.map(({ name, colour }, leg) => ({
    label: name, data: bars.map((bar) => 1e3 * bar.legs_s[leg]), backgroundColor: colour, stack: "legs",
  }));
}

const places = (bars) => ({ label: "?", data: bars.map(() => 1), backgroundColor: css("--faint") });

const joules = (bars) => ({
  label: "energy", data: bars.map((bar) => 1e3 * bar.energy_j), backgroundColor: css("--muted"),
});

function options(unit, upper, onClick = null) {
  const title = (text) => ({ display: true, text });
  const scale = (more) => ({ stacked: true, grid: {}, border: {}, ticks: {}, ...more });
  return {
    responsive: true,
    maintainAspectRatio: false,
    onClick,
    layout: { padding: { top: upper ? 18 : 4, right: 8 } },
    interaction: { mode: "index", intersect: false },
    datasets: { bar: { categoryPercentage: 1, barPercentage: 0.88 } },
    scales: {
      x: scale({
        grid: { display: false },
        title: upper ? { display: false } : title("cut: 0 is all at the edge, the last all on the device"),
        ticks: { maxRotation: 0, autoSkipPadding: 8 },
      }),
      y: scale({
        title: title(upper ? `latency, ${unit}` : `energy, ${unit}`),
        beginAtZero: true,
        ticks: { maxTicksLimit: upper ? 7 : 4, includeBounds: false },
        afterFit: (axis) => { axis.width = WIDTH; },
      }),
    },
    plugins: { legend: { display: upper, position: "bottom", labels: { boxWidth: 12 } }, tooltip: {} },
  };
}

function colour(chart) {
  for (const scale of Object.values(chart.options.scales)) {
    scale.ticks.color = css("--ink");
    scale.title.color = css("--ink");
    scale.border.color = css("--line");
    if (scale.grid.display !== false) scale.grid.color = css("--line");
  }
  chart.options.plugins.legend.labels.color = css("--ink");
}

/* The deadline as a line, and triangles over the best bar and the guess. */
function marks(state) {
  return {
    id: "marks",
    afterDatasetsDraw({ ctx, chartArea, scales, getDatasetMeta }, _, __) {
      if (!state.answer || state.hidden) return;
      ctx.save();
      ctx.fillStyle = ctx.strokeStyle = css("--ink");
      ctx.font = "600 12px system-ui, sans-serif";
      deadline(ctx, chartArea, scales.y, 1e3 * state.answer.deadline_s);
      const same = state.guess === state.answer.best;
      mark(ctx, chartArea, scales, state.answer, state.answer.best, same ? "▼ best, and yours" : "▼ best");
      if (state.guess !== null && !same) mark(ctx, chartArea, scales, state.answer, state.guess, "▽ yours");
      ctx.restore();
    },
  };
}

function deadline(ctx, area, axis, at) {
  ctx.textAlign = "right";
  if (at > axis.max) {
    write(ctx, `deadline ${digits(at)} ms, above`, area.right, area.top - 6);
    return;
  }
  const y = axis.getPixelForValue(at);
  ctx.setLineDash([6, 4]);
  ctx.beginPath();
  ctx.moveTo(area.left, y);
  ctx.lineTo(area.right, y);
  ctx.stroke();
  write(ctx, `deadline ${digits(at)} ms`, area.right, y - 5);
}

function mark(ctx, area, scales, answer, row, text) {
  const x = scales.x.getPixelForValue(row);
  const top = scales.y.getPixelForValue(1e3 * answer.bars[row].latency_s);
  const left = x + ctx.measureText(text).width > area.right;
  ctx.textAlign = left ? "right" : "left";
  write(ctx, text, x + (left ? 6 : -6), Math.max(top - 6, area.top - 6));
}

/* Text with a rim of the page's colour, to be read on bars too. */
function write(ctx, text, x, y) {
  ctx.save();
  ctx.setLineDash([]);
  ctx.lineWidth = 4;
  ctx.lineJoin = "round";
  ctx.strokeStyle = css("--paper");
  ctx.strokeText(text, x, y);
  ctx.restore();
  ctx.fillText(text, x, y);
}
