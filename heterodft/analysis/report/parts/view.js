"use strict";
// A structure that turns: orthographic, drawn from the back to the front.
(() => {
  const canvas = document.getElementById("view");
  if (!canvas) return;
  const { geometries, views, species } = JSON.parse(document.getElementById("view-data").textContent);
  const get = (id) => document.getElementById(id);
  const choice = get("view-choice"), coloring = get("view-color"), key = get("view-key");
  const pen = canvas.getContext("2d");
  // Rows: what is to the right, upwards and towards the reader; x is along a, z along the normal of the layers.
  const faces = { a: [[0, 1, 0], [0, 0, 1], [1, 0, 0]], b: [[1, 0, 0], [0, 0, 1], [0, -1, 0]], c: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] };
  let turn = faces.b, zoom = 1, scene = null;

  const dot = (matrix, v) => matrix.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
  const place = (cell, f) => [0, 1, 2].map((i) => f[0] * cell[0][i] + f[1] * cell[1][i] + f[2] * cell[2][i]);
  const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const rotate = (right, up) => {
    const [c, s, d, t] = [Math.cos(right), Math.sin(right), Math.cos(up), Math.sin(up)];
    const [x, y, z] = turn;
    const x1 = x.map((v, i) => c * v + s * z[i]), z1 = x.map((v, i) => c * z[i] - s * v);
    turn = [x1, y.map((v, i) => d * v - t * z1[i]), y.map((v, i) => t * v + d * z1[i])];
    draw();
  };

  // Atoms on a face of the cell are shown on the opposite one too.
  const repeated = (f) => {
    const inside = f.map((v) => { const w = v - Math.floor(v); return w > 0.9995 ? 0 : w; });
    const shifts = inside.map((v) => (v < 5e-4 ? [0, 1] : [0]));
    return shifts[0].flatMap((i) => shifts[1].flatMap((j) => shifts[2].map((k) => [inside[0] + i, inside[1] + j, inside[2] + k])));
  };
  const build = (view) => {
    const geometry = geometries[view.geometry], { cell } = geometry;
    const middle = place(cell, [0.5, 0.5, 0.5]);
    const at = (f) => minus(place(cell, f), middle);
    const atoms = geometry.atoms.flatMap(([element, layer, ...f], site) => repeated(f).map((g) => {
      const symbol = geometry.elements[element];
      return { at: at(g), symbol, site, radius: 0.42 * species[symbol][0], color: species[symbol][1],
        layer: geometry.layers[layer]?.[1] ?? "#999999", moment: view.moments?.[site] ?? 0 };
    }));
    const bonds = [];
    atoms.forEach((one, i) => atoms.slice(i + 1).forEach((other) => {
      const length = Math.hypot(...minus(one.at, other.at));
      if (one.symbol !== other.symbol && length > 0.5 && length < 2.4) bonds.push([one, other]);
    }));
    const corners = [0, 1].flatMap((i) => [0, 1].flatMap((j) => [0, 1].map((k) => [i, j, k])));
    const edges = corners.flatMap((f) => [0, 1, 2].filter((n) => !f[n]).map((n) => [at(f), at(f.map((v, m) => (m === n ? 1 : v)))]));
    const size = Math.max(...corners.map((f) => Math.hypot(...at(f)))) + 0.8;
    const empty = geometry.vacancy ? repeated(geometry.vacancy).map(at) : [];
    return { atoms, bonds, edges, size, empty, geometry };
  };

  const mix = (color, part) => {
    const shade = part > 0 ? 255 : 0;
    return "rgb(" + [1, 3, 5].map((i) => { const v = parseInt(color.slice(i, i + 2), 16); return Math.round(v + Math.abs(part) * (shade - v)); }) + ")";
  };
  const line = (from, to, color, width) => {
    pen.strokeStyle = color; pen.lineWidth = width;
    pen.beginPath(); pen.moveTo(from[0], from[1]); pen.lineTo(to[0], to[1]); pen.stroke();
  };
  const ball = ([x, y], radius, color) => {
    const light = pen.createRadialGradient(x - radius / 3, y - radius / 3, radius / 8, x, y, radius);
    light.addColorStop(0, mix(color, 0.65)); light.addColorStop(0.6, color); light.addColorStop(1, mix(color, -0.35));
    pen.fillStyle = light; pen.strokeStyle = "#0006"; pen.lineWidth = 0.7;
    pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI); pen.fill(); pen.stroke();
  };
  const arrow = (from, to, color) => {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]], length = Math.hypot(dx, dy) || 1;
    line(from, to, color, 3);
    pen.fillStyle = color; pen.beginPath(); pen.moveTo(to[0] + 7 * dx / length, to[1] + 7 * dy / length);
    for (const side of [1, -1]) pen.lineTo(to[0] - side * 5 * dy / length, to[1] + side * 5 * dx / length);
    pen.fill();
  };

  function draw() {
    const ratio = devicePixelRatio || 1, { width, height } = canvas.getBoundingClientRect();
    if (!scene || !width) return;
    canvas.width = width * ratio; canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const scale = zoom * Math.min(width, height) / (2 * scene.size);
    const seen = (v) => { const [x, y, z] = dot(turn, v); return [width / 2 + scale * x, height / 2 - scale * y, z]; };
    const by = coloring.value, things = [];
    for (const [a, b] of scene.edges) { const p = seen(a), q = seen(b); things.push([Math.min(p[2], q[2]), () => line(p, q, "#7a8794", 1)]); }
    if (get("view-bonds").checked) for (const [a, b] of scene.bonds) {
      const p = seen(a.at), q = seen(b.at), m = p.map((v, i) => (v + q[i]) / 2);
      for (const [end, atom] of [[p, a], [q, b]]) things.push([(end[2] + m[2]) / 2, () => line(end, m, mix(atom[by], -0.15), 0.16 * scale)]);
    }
    const largest = Math.max(0.05, ...scene.atoms.map((atom) => Math.abs(atom.moment)));
    for (const atom of scene.atoms) {
      const p = seen(atom.at);
      things.push([p[2], () => {
        const radius = atom.radius * scale;
        ball(p, radius, atom[by]);
        if (get("view-symbols").checked && radius > 6) {
          pen.fillStyle = "#111"; pen.font = `600 ${Math.min(13, radius)}px system-ui, sans-serif`; pen.textAlign = "center"; pen.textBaseline = "middle";
          pen.fillText(atom.symbol, p[0], p[1]);
        }
        if (get("view-moments").checked && Math.abs(atom.moment) > 0.05) {
          const half = 0.4 * Math.sign(atom.moment) + 1.1 * atom.moment / largest;
          arrow(seen([atom.at[0], atom.at[1], atom.at[2] - half]), seen([atom.at[0], atom.at[1], atom.at[2] + half]), atom.moment > 0 ? "#c4161c" : "#1347b0");
        }
      }]);
    }
    for (const v of scene.empty) { const p = seen(v); things.push([p[2], () => {
      pen.setLineDash([4, 3]); pen.strokeStyle = "#c00000"; pen.lineWidth = 1.5;
      pen.beginPath(); pen.arc(p[0], p[1], 0.4 * scale, 0, 2 * Math.PI); pen.stroke(); pen.setLineDash([]);
    }]); }
    things.sort((a, b) => a[0] - b[0]).forEach(([, paint]) => paint());
    ["a", "b", "c"].forEach((name, i) => { // the directions of the cell vectors, in the corner
      const v = scene.geometry.cell[i], d = dot(turn, v.map((x) => 26 * x / Math.hypot(...v)));
      const from = [36, height - 36], to = [from[0] + d[0], from[1] - d[1]];
      line(from, to, "#55636f", 1.5);
      pen.fillStyle = "#1c2733"; pen.font = "12px system-ui, sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle";
      pen.fillText(name, from[0] + 1.35 * d[0], from[1] - 1.35 * d[1]);
    });
    canvas.dataset.turn = turn.flat().map((v) => v.toFixed(3)).join(" ");
  }

  const legend = () => {
    const entries = coloring.value === "layer" ? scene.geometry.layers : scene.geometry.elements.map((symbol) => [symbol, species[symbol][1]]);
    key.replaceChildren(...entries.map(([name, color]) => {
      const entry = document.createElement("span"), spot = document.createElement("i");
      spot.style.background = color;
      entry.append(spot, name);
      return entry;
    }));
  };
  const choose = (index) => {
    const view = views[index];
    scene = build(view);
    choice.value = String(index);
    get("view-moments").disabled = !view.moments;
    canvas.setAttribute("aria-label", `Structure of ${view.title}; turn it with the mouse or the arrow keys`);
    legend();
    draw();
  };

  views.forEach((view, i) => choice.append(new Option(view.title, String(i))));
  choice.addEventListener("change", () => choose(Number(choice.value)));
  coloring.addEventListener("change", () => { legend(); draw(); });
  for (const id of ["view-bonds", "view-symbols", "view-moments"]) get(id).addEventListener("change", draw);
  const aside = () => { turn = faces.b; zoom = 1; rotate(-0.35, 0.2); }; // a little from the right and above
  for (const button of document.querySelectorAll("button[data-face]")) button.addEventListener("click", () => {
    turn = faces[button.dataset.face];
    if (turn) draw(); else aside();
  });
  for (const link of document.querySelectorAll("a[data-view]")) link.addEventListener("click", () => choose(views.findIndex((view) => view.id === link.dataset.view)));
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); canvas.focus({ preventScroll: true }); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) rotate(event.movementX / 120, event.movementY / 120); });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return; // else the page scrolls on
    event.preventDefault();
    zoom = Math.min(8, Math.max(0.4, zoom * Math.exp(-event.deltaY / 600)));
    draw();
  }, { passive: false });
  const keys = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
  canvas.addEventListener("keydown", (event) => {
    if (keys[event.key]) rotate(...keys[event.key]);
    else if (event.key === "+" || event.key === "-") { zoom = Math.min(8, Math.max(0.4, zoom * (event.key === "+" ? 1.15 : 1 / 1.15))); draw(); }
    else return;
    event.preventDefault();
  });
  addEventListener("resize", draw);
  addEventListener("beforeprint", draw);
  choose(0);
  aside();
})();
