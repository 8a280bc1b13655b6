"use strict";
// Tables that sort and filter, details that open where a link leads; all without a library.
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const make = (name, text = "", options = {}) => Object.assign(document.createElement(name), { textContent: text }, options);
  document.documentElement.classList.add("has-script");

  // Cells that hold a number come by value, others by their letters, empty ones last whatever the direction.
  const value = (text) => {
    const plain = text.trim().replace("−", "-");
    if (plain === "" || plain === "–") return null;
    return /^[-+]?(\d|\.\d)/.test(plain) ? parseFloat(plain) : plain;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === typeof b) return a.localeCompare(b, "en", { numeric: true });
    return typeof a === "number" ? -1 : 1;
  };
  const order = (rows, get, sign) => rows
    .map((row, i) => [value(get(row)), i, row])
    .sort(([a, i], [b, j]) => a === null || b === null ? (a === null) - (b === null) || i - j : sign * compare(a, b) || i - j)
    .map(([, , row]) => row);

  const sortable = (head, sort) => all("th", head).forEach((cell, column) => {
    const button = make("button", cell.textContent, { type: "button", title: "Sort" });
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") === "ascending";
      all("th", head).forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(column, down ? -1 : 1);
    });
  });

  const filter = (place, label, apply) => {
    const box = make("div", "", { className: "filter" });
    const input = make("input", "", { type: "search", placeholder: "words, as in: TiO2 FM" });
    const name = make("label", `${label} `);
    const count = make("span", "", { role: "status" });
    const run = () => { count.textContent = apply(input.value.toLowerCase().split(/\s+/).filter(Boolean)); };
    input.addEventListener("input", run);
    name.append(input);
    box.append(name, count);
    place.before(box);
    run();
  };
  const plainText = (text) => text.toLowerCase().replace(/[₀-₉]/g, (digit) => digit.charCodeAt(0) - 0x2080);
  const keep = (items, words) => {
    let shown = 0;
    for (const item of items) {
      item.words ??= plainText(item.dataset.words ?? [...item.cells].map((cell) => cell.textContent).join(" "));
      item.hidden = !words.every((word) => item.words.includes(plainText(word)));
      shown += !item.hidden;
    }
    return words.length ? `${shown} of ${items.length}` : "";
  };

  for (const table of all("table[data-sort]")) {
    const body = table.tBodies[0];
    sortable(table.tHead, (column, sign) => {
      body.append(...order([...body.rows], (row) => row.cells[column]?.textContent ?? "", sign));
    });
    if (table.dataset.sort) filter(table.closest(".scroll") ?? table, table.dataset.sort, (words) => keep([...body.rows], words));
  }

  // The layers of all configurations come as data: of thousands of rows only those that are looked at are made.
  const place = document.getElementById("all-layers");
  if (place) {
    const { header, words: texts, rows } = JSON.parse(document.getElementById("layer-data").textContent);
    const most = 200;
    let chosen = rows, sorted = rows;
    const table = make("table"), body = make("tbody"), head = make("thead"), line = make("tr");
    header.forEach((name, i) => line.append(make("th", name, { className: i < texts ? "" : "n" })));
    head.append(line);
    table.append(head, body);
    const show = () => body.replaceChildren(...chosen.slice(0, most).map((row) => {
      const tr = make("tr");
      row.forEach((cell, i) => tr.append(make("td", cell, { className: i < texts ? "" : "n" })));
      return tr;
    }));
    const texted = new Map(rows.map((row) => [row, plainText(row.join(" "))]));
    let asked = [];
    const choose = () => { chosen = sorted.filter((row) => asked.every((word) => texted.get(row).includes(word))); show(); };
    place.append(table);
    filter(place, "Filter layers:", (words) => {
      asked = words.map(plainText);
      choose();
      return `${chosen.length} of ${rows.length} rows${chosen.length > most ? `, the first ${most} are shown` : ""}`;
    });
    sortable(head, (column, sign) => { sorted = order(rows, (row) => row[column], sign); choose(); });
  }

  const boxes = all("details.configuration");
  if (boxes.length > 6) filter(boxes[0], "Filter configurations:", (words) => keep(boxes, words));
  all("button[data-open]").forEach((button) => button.addEventListener("click", () => {
    const open = button.dataset.open === "yes";
    boxes.forEach((box) => { box.open = open && !box.hidden; });
  }));
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let box = target?.closest("details"); box; box = box.parentElement.closest("details")) { box.open = true; box.hidden = false; }
    target?.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  // On paper everything is open, of long campaigns what the reader opened.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = boxes.length > 30 ? [] : all("details:not([open]):not(.screen)");
    closed.forEach((box) => { box.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((box) => { box.open = false; }));
})();
