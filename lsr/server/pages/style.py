"""The style sheet of all pages: light and dark, wide and narrow, on paper too."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #faf9f6; --card: #ffffff; --ink: #22211f; --soft: #6d6a63; --faint: #e7e4dc; --line: #efece5;
  --text: 232 146 12; --other: 84 96 196; --focus: #3d4cc0;
  --shadow: 0 1px 2px rgb(60 50 30 / .05), 0 6px 24px -12px rgb(60 50 30 / .16);
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15161a; --card: #1d1f25; --ink: #e9e6df; --soft: #9a978f; --faint: #33353d; --line: #292b32;
    --text: 240 168 56; --other: 140 152 250; --focus: #a3adff;
    --shadow: 0 1px 2px rgb(0 0 0 / .3);
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: clamp(1.25rem, 5vw, 3.25rem) clamp(.9rem, 4vw, 1.5rem) 3rem; }
h1 { font-size: clamp(1.5rem, 1.1rem + 2.2vw, 2.25rem); line-height: 1.2; margin: 0 0 1.1rem; font-weight: 650;
  letter-spacing: -.018em; text-wrap: balance; }
h2 { font-size: 1.09rem; line-height: 1.4; margin: 0; font-weight: 620; letter-spacing: -.005em; }
p { margin: 0; }
.eyebrow { color: var(--soft); font-size: .8rem; letter-spacing: .02em; margin-bottom: .35rem; }
.soft { color: var(--soft); font-size: .86rem; }
.id { font: .78rem var(--mono); color: var(--soft); }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }

.terms { display: flex; flex-wrap: wrap; gap: .4rem; margin: 0; padding: 0; list-style: none; }
.terms li { position: relative; padding: .16rem .62rem .3rem; background: var(--card); border: 1px solid var(--faint);
  border-radius: .5rem; font-size: .88rem; line-height: 1.45; overflow: hidden; }
.terms li::after { content: ""; position: absolute; left: 0; bottom: 0; height: 3px; width: var(--part);
  background: rgb(var(--text)); }
.terms li.other::after { background: rgb(var(--other)); }
.terms li.unknown { border-style: dashed; color: var(--soft); text-decoration: line-through; }
.terms span { color: var(--soft); margin-left: .35rem; font-size: .78rem; font-variant-numeric: tabular-nums; }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: .9rem 0 0; color: var(--soft); font-size: .82rem; }
.key i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .4rem;
  vertical-align: -.08rem; background: rgb(var(--text)); }
.key i.other, .strip .other, .bar .other { background: repeating-linear-gradient(135deg,
  rgb(var(--other)) 0 3px, rgb(var(--other) / .55) 3px 6px); }

.facts { display: grid; grid-template-columns: repeat(6, 1fr); gap: 1px; margin: 1.6rem 0 2.2rem;
  background: var(--faint); border: 1px solid var(--faint); border-radius: .7rem; overflow: hidden; }
.facts div { background: var(--card); padding: .6rem .85rem .65rem; }
.facts dt { color: var(--soft); font-size: .76rem; }
.facts dd { margin: 0; font-weight: 600; font-size: 1.02rem; font-variant-numeric: tabular-nums; line-height: 1.4; }
.facts small { display: block; font-weight: 400; color: var(--soft); font-size: .78rem; }

.hit { background: var(--card); border: 1px solid var(--line); border-radius: .9rem; box-shadow: var(--shadow);
  padding: 1.05rem 1.2rem .55rem; margin: 0 0 1.1rem; }
.hit header { display: grid; grid-template-columns: 1fr auto; gap: 0 1.2rem; align-items: start; }
.hit .score { font-size: 1.25rem; font-weight: 620; line-height: 1.25; text-align: right; }
.strip { display: flex; height: .5rem; margin: .7rem 0 .8rem; gap: 2px; background: var(--line); border-radius: .25rem;
  overflow: hidden; }
.strip b { display: block; flex: none; width: calc(var(--part) - 2px); min-width: 1px;
  background: rgb(var(--text) / var(--shade)); }
.hit .passage { margin: 0 0 .7rem; }
mark { color: inherit; padding: .05em .12em; margin: 0 -.06em; border-radius: .22em;
  background: rgb(var(--text) / calc(var(--shade) * .62)); box-decoration-break: clone;
  -webkit-box-decoration-break: clone; }
mark.after { margin-left: 0; padding-left: 0; border-start-start-radius: 0; border-end-start-radius: 0; }
mark.before { margin-right: 0; padding-right: 0; border-start-end-radius: 0; border-end-end-radius: 0; }

details { border-top: 1px solid var(--line); }
summary { cursor: pointer; color: var(--soft); font-size: .84rem; padding: .5rem 0; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::before { content: ""; display: inline-block; margin-right: .55rem; border: .24rem solid transparent;
  border-left: .36rem solid currentColor; border-right: 0; transition: transform .12s; }
details[open] > summary::before { transform: rotate(90deg); }
summary:hover { color: var(--ink); }
summary:focus-visible, button:focus-visible, input:focus-visible { outline: 2px solid var(--focus);
  outline-offset: 2px; border-radius: .3rem; }
.whole { margin: 0 0 .9rem; max-height: 24rem; overflow: auto; font-size: .93rem; white-space: pre-line; }

table { border-collapse: collapse; width: 100%; font-size: .88rem; margin: 0 0 .8rem; }
th { font-weight: 400; color: var(--soft); font-size: .78rem; text-align: right; padding: .1rem .5rem .3rem;
  white-space: nowrap; }
td { padding: .2rem .5rem; text-align: right; font-variant-numeric: tabular-nums; border-top: 1px solid var(--line);
  line-height: 1.45; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { text-align: left; padding-right: 0; }
td { white-space: nowrap; }
td:first-child { font-weight: 560; max-width: 13rem; overflow: hidden; text-overflow: ellipsis; }
td span { font-weight: 400; color: var(--soft); margin-left: .3rem; font-size: .82rem; }
td.where { color: var(--soft); font-size: .82rem; }
.bar { width: 34%; min-width: 4.5rem; }
.bar b { display: block; height: .62rem; border-radius: .18rem; width: max(2px, var(--part));
  background: rgb(var(--text) / var(--shade)); }

.vector { padding-top: .8rem; margin-top: 1.4rem; }
.vector .bar { width: 62%; }
.whole-text { font-size: 1.08rem; line-height: 1.75; white-space: pre-line; }

form { display: flex; gap: .5rem; margin: 0 0 1.8rem; }
input[type=search] { flex: 1; min-width: 0; font: inherit; font-size: 1.06rem; padding: .62rem .95rem; color: inherit;
  background: var(--card); border: 1px solid var(--faint); border-radius: .7rem; box-shadow: var(--shadow); }
button { font: inherit; font-weight: 600; padding: .62rem 1.15rem; color: var(--page); background: var(--ink);
  border: 0; border-radius: .7rem; cursor: pointer; }
.empty { padding: 2.2rem 0; color: var(--soft); text-align: center; }
footer { color: var(--soft); font-size: .8rem; margin-top: 2rem; }
@media (max-width: 34rem) {
  .hit { padding: .85rem .9rem .35rem; }
  .where, .weight { display: none; }
  .facts { grid-template-columns: repeat(3, 1fr); }
  td, th { padding-left: .35rem; padding-right: .35rem; }
}
@media print {
  body { background: #fff; } .hit { box-shadow: none; break-inside: avoid; } form { display: none; }
  mark, .strip b, .bar b { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
""".strip()
