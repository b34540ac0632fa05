/* What the taps of an upsampling kernel make of a constant, drawn as they are moved.

The arithmetic is that of caejax.models.diagnosis for one channel and separable kernels;
tests compare the two. A kernel lies along one axis, its first tap at output pixel
`origin` of its input pixel. */
"use strict";

const taps = (() => {
  const STRIDE = 2;
  const FLOOR_DB = -200;

  /* By name: how many sliders, and the fixed taps that their kernel is convolved with. */
  const KINDS = {
    "Transposed, 2 taps": { count: 2, fixed: [1], start: [1, 0.7] },
    "Transposed, 3 taps": { count: 3, fixed: [1], start: [1, 1, 1] },
    "Transposed, 4 taps": { count: 4, fixed: [1], start: [0.4, 1, 1, 0.2] },
    "Transposed, 5 taps": { count: 5, fixed: [1], start: [0.2, 0.6, 1, 0.6, 0.2] },
    "Transposed, 6 taps": { count: 6, fixed: [1], start: [0.1, 0.5, 1, 0.9, 0.3, 0.1] },
    "Nearest resize, then 3 taps": {
      count: 3, fixed: [1, 1], start: [0.2, 1, -0.4],
    },
    "Bilinear resize, then 3 taps": {
      count: 3, fixed: [0.25, 0.75, 0.75, 0.25], start: [0.2, 1, -0.4],
    },
  };

  function convolve(a, b) {
    const out = new Array(a.length + b.length - 1).fill(0);
    a.forEach((x, i) => b.forEach((y, j) => { out[i + j] += x * y; }));
    return out;
  }

  /* The gain of each phase along one axis, counted from the filter's first tap. */
  function gains(filter, stride = STRIDE) {
    const out = new Array(stride).fill(0);
    filter.forEach((tap, i) => { out[i % stride] += tap; });
    return out;
  }

  /* The gains of both axes' phases: the product of those along one. */
  function gains2d(filter, stride = STRIDE) {
    const g = gains(filter, stride);
    return g.map((a) => g.map((b) => a * b));
  }

  /* 10 log10(variance over the phases / squared mean), at least -200. */
  function rippleDb(filter, stride = STRIDE) {
    const all = gains2d(filter, stride).flat();
    const mean = all.reduce((a, b) => a + b) / all.length;
    const variance = all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length;
    const ratio = variance / Math.max(mean ** 2, Number.MIN_VALUE);
    return Math.max(10 * Math.log10(Math.max(ratio, 1e-20)), FLOOR_DB);
  }

  /* The mean of all gains, 0 where it is only rounding. */
  function meanGain(g) {
    const all = g.flat();
    const mean = all.reduce((a, b) => a + b) / all.length;
    return Math.abs(mean) > 1e-9 * Math.max(...all.map(Math.abs)) ? mean : 0;
  }

  /* |H| at the multiples of 1 / stride that are not 0; of stride 2, at Nyquist. */
  function atLattice(filter) {
    return Math.abs(filter.reduce((sum, tap, i) => sum + (i % 2 ? -tap : tap), 0));
  }

  /* The nearest filter along one axis whose phases have one gain. */
  function equalGains(filter, stride = STRIDE) {
    const g = gains(filter, stride);
    const counts = gains(filter.map(() => 1), stride);
    const weights = counts.map((n) => 1 / n);
    const total = weights.reduce((a, b) => a + b);
    const gain = g.reduce((sum, x, p) => sum + x * weights[p], 0) / total;
    return filter.map((tap, i) => tap + (gain - g[i % stride]) / counts[i % stride]);
  }

  /* ---- the page ---- */

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.append(...children);
    return made;
  }

  const PIXELS = 16;
  const PARITY = ["even", "odd"];

  /* The mean of the gains, which is half grey, and how far black and white are from it:
     that mean, or, where it is 0, the largest gain. */
  function greyScale(g) {
    const mean = meanGain(g);
    return { mean, scale: Math.abs(mean) || Math.max(...g.flat().map(Math.abs), 1e-9) };
  }

  function told(ripple, g) {
    if (ripple <= -100) return "none";
    return meanGain(g) ? `${ripple.toFixed(1)} dB` : "nothing but ripple: the mean is 0";
  }

  function drawPattern(canvas, g) {
    const context = canvas.getContext("2d");
    const side = canvas.width / PIXELS;
    const { mean, scale } = greyScale(g);
    for (let row = 0; row < PIXELS; row += 1) {
      for (let column = 0; column < PIXELS; column += 1) {
        const value = g[row % STRIDE][column % STRIDE];
        const grey = Math.round(127.5 * (1 + (value - mean) / scale));
        const shown = Math.min(Math.max(grey, 0), 255);
        context.fillStyle = `rgb(${shown} ${shown} ${shown})`;
        context.fillRect(column * side, row * side, side, side);
      }
    }
  }

  function show(host) {
    const kinds = element("select", { id: "taps-kind" });
    Object.keys(KINDS).forEach((name) => kinds.append(element("option", {}, name)));
    kinds.value = "Transposed, 4 taps";
    const sliders = element("div", { class: "taps-sliders" });
    const canvas = element("canvas", {
      width: 256, height: 256, role: "img", class: "taps-pattern",
    });
    const ends = element("div", { class: "taps-ends" });
    const scale = element("div", { class: "taps-scale" },
      element("div", { class: "taps-greys" }), ends);
    const numbers = element("dl", { class: "taps-numbers" });
    const verdict = element("p", { class: "taps-verdict", role: "status" });
    const equal = element("button", { type: "button" }, "One gain for all phases");
    const reset = element("button", { type: "button" }, "Begin again");
    let values = [];

    const filter = () => convolve(values, KINDS[kinds.value].fixed);

    function update() {
      const h = filter();
      const g = gains2d(h);
      const ripple = rippleDb(h);
      const phases = g.flatMap((row, y) => row.map((x, column) => [
        `Gain of ${PARITY[y]} rows, ${PARITY[column]} columns`, x.toFixed(3)]));
      const text = phases.map(([, value]) => value).join(", ");
      const grey = greyScale(g);
      ends.replaceChildren(...[-1, 0, 1].map((end) => element(
        "span", {}, (grey.mean + end * grey.scale).toFixed(2))));
      numbers.replaceChildren();
      [["Filter along an axis", h.map((x) => x.toFixed(2)).join("  ")],
        ...phases,
        ["Response at half the sampling rate", atLattice(h).toFixed(3)],
        ["Ripple over the constant", told(ripple, g)],
      ].forEach(([name, value]) => {
        numbers.append(element("dt", {}, name), element("dd", {}, value));
      });
      const clean = ripple <= -100;
      verdict.textContent = clean ? "Flat: all phases have one gain."
        : "A pattern of period 2: the phases' gains differ.";
      canvas.setAttribute("aria-label",
        clean ? "A flat grey square" : `A checkered square, gains ${text}`);
      drawPattern(canvas, g);
    }

    function build(start) {
      values = [...start];
      sliders.replaceChildren();
      values.forEach((value, i) => {
        const slider = element("input", {
          type: "range", min: "-2", max: "2", step: "0.05", id: `taps-${i}`,
        });
        slider.value = value;
        const label = element("label", { for: `taps-${i}` }, `tap ${i}`);
        const output = element("output", { for: `taps-${i}` }, value.toFixed(2));
        slider.addEventListener("input", () => {
          values[i] = Number(slider.value);
          output.textContent = values[i].toFixed(2);
          update();
        });
        sliders.append(element("div", { class: "taps-row" }, label, slider, output));
      });
      update();
    }

    kinds.addEventListener("change", () => build(KINDS[kinds.value].start));
    reset.addEventListener("click", () => build(KINDS[kinds.value].start));
    equal.addEventListener("click", () => {
      const made = KINDS[kinds.value].fixed.length > 1 ? values : equalGains(values);
      build(made);
    });
    host.append(
      element("div", { class: "taps-controls" },
        element("div", { class: "taps-row" },
          element("label", { for: "taps-kind" }, "layer"), kinds),
        sliders, element("div", { class: "taps-buttons" }, equal, reset)),
      element("div", { class: "taps-result" }, canvas, scale, verdict),
      numbers,
    );
    build(KINDS[kinds.value].start);
  }

  return { KINDS, convolve, gains, gains2d, rippleDb, atLattice, equalGains, show };
})();

if (typeof module !== "undefined") module.exports = taps;
