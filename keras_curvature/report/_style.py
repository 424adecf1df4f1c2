"""How a page looks: on a phone, on paper, by day and by night."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1d21; --quiet: #565c66; --line: #dfe2e7;
  --tint: #f5f6f8; --blue: #0072b2; --orange: #c85500; --green: #00795a;
  --grey: #72777f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181c; --ink: #e9ebee; --quiet: #a8afb9; --line: #33373e;
    --tint: #1e2126; --blue: #5cb3ea; --orange: #ff914d; --green: #3ecfa4;
    --grey: #949aa3;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
header, main, footer { max-width: 62rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: clamp(1.5rem, 5vw, 4rem); }
h1, h2 { line-height: 1.2; text-wrap: balance; margin: 0; }
h1 { font-size: clamp(1.7rem, 5vw, 2.5rem); font-weight: 650;
  letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; font-weight: 620; letter-spacing: -0.01em; }
p { margin: 0.5rem 0 0; max-width: 42rem; }
.kind { margin: 0 0 0.4rem; color: var(--quiet); font-size: 0.9rem; }
.how, footer, figcaption { color: var(--quiet); }
.says { font-weight: 500; }
.findings { margin: 1.5rem 0 0; padding: 0 0 0 1.1rem; max-width: 44rem; }
.findings li { margin: 0.35rem 0; padding-left: 0.2rem; }
.findings li::marker { color: var(--blue); }
.figures { display: grid; margin: 2rem 0 0; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(9.2rem, 1fr));
  border-top: 1px solid var(--line); column-gap: 1.5rem; }
.figures div { padding: 0.75rem 0; border-bottom: 1px solid var(--line); }
dt { color: var(--quiet); font-size: 0.85rem; }
dd { margin: 0; font-size: 1.2rem; font-weight: 580; overflow-wrap: anywhere; }
dd small { display: block; font-size: 0.8rem; font-weight: 400;
  color: var(--quiet); }
section { display: grid; gap: 1.25rem 2.5rem; margin-top: 3.5rem;
  grid-template-columns: minmax(0, 1fr); align-items: start; }
@media (min-width: 54rem) {
  section { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    grid-template-rows: auto 1fr; }
  figure, .aside { grid-column: 2; grid-row: 1 / span 2; }
  .text, .beside { grid-column: 1; }
  .wide { grid-column: 1 / -1; }
}
figure { margin: 0; }
figcaption { font-size: 0.85rem; margin-top: 0.4rem; }
.plot { display: block; width: 100%; max-width: 30rem; height: auto;
  color: var(--ink); }
.plot * { stroke-linejoin: round; stroke-linecap: butt; }
.scroll { overflow-x: auto; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.9rem; min-width: 100%; }
th, td { padding: 0.4rem 0 0.4rem 1.1rem; text-align: right;
  white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child { padding-left: 0; text-align: left; }
thead th { color: var(--quiet); font-weight: 500; vertical-align: bottom; }
tbody th { font-weight: 500; }
.marked th, .marked td { background: var(--tint); }
.marked th { box-shadow: inset 3px 0 var(--orange); padding-left: 0.7rem; }
.notes { margin: 1rem 0 0; padding-left: 1.1rem; font-size: 0.9rem;
  color: var(--quiet); max-width: 44rem; }
footer { margin-top: 4rem; padding-top: 1rem; padding-bottom: 3rem;
  font-size: 0.85rem; }
footer dl { display: grid; gap: 0.25rem 1.5rem; margin: 0.75rem 0 0;
  grid-template-columns: max-content minmax(0, 1fr); }
footer dd { font-size: inherit; font-weight: 400; color: var(--ink); }
@page { margin: 16mm; }
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --ink: #000000; --quiet: #333333; --line: #bbbbbb;
    --tint: #ffffff; --blue: #0072b2; --orange: #c85500; --green: #00795a;
    --grey: #72777f;
  }
  html { font-size: 9.5pt; }
  .plot { max-width: 19rem; }
  header, main, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  section { margin-top: 1.6rem; }
  h2, .how, .says { break-after: avoid; }
  figure, tr, section, .figures div, .findings { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  section { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    grid-template-rows: auto 1fr; gap: 0.5rem 2rem; }
  figure, .aside { grid-column: 2; grid-row: 1 / span 2; }
  .text, .beside { grid-column: 1; }
  .wide { grid-column: 1 / -1; }
  table { font-size: 0.85rem; }
  th, td { padding: 0.2rem 0 0.2rem 0.6rem; white-space: normal; }
  .marked th { box-shadow: none; text-decoration: underline;
    padding-left: 0; }
}
""".strip()
