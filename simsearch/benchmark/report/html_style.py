"""How the report looks: one style sheet, light and dark, for screen, phone and paper."""

from __future__ import annotations

from collections.abc import Iterable

from simsearch.benchmark.report import palette


def style_sheet() -> str:
    """The whole style sheet; colours come from the palette alone."""
    light = _variables(c=palette.COLOURS, h=palette.HEAT, i=palette.HEAT_INK)
    light += f"--ink:{palette.INK};--line:{palette.LINE};--faint:{palette.FAINT};--ground:{palette.GROUND};"
    light += "--raised:#f6f7f9;--link:#0b6bcb;--warn:#a8480a"
    dark = _variables(c=palette.COLOURS_DARK, h=palette.HEAT_DARK, i=palette.HEAT_INK_DARK)
    dark += f"--ink:{palette.INK_DARK};--line:{palette.LINE_DARK};--faint:{palette.FAINT_DARK};"
    dark += f"--ground:{palette.GROUND_DARK};--raised:#1b1f27;--link:#6db3ff;--warn:#f0a35e"
    return "\n".join(
        [
            f":root{{color-scheme:light dark;{light}}}",
            f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}",
            *(f".h{step}{{background:var(--h{step});color:var(--i{step})}}" for step in range(len(palette.HEAT))),
            _SHEET,
        ]
    )


def _variables(**named: Iterable[str]) -> str:
    return "".join(f"--{letter}{number}:{one};" for letter, every in named.items() for number, one in enumerate(every))


_SHEET = """
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,header,nav,footer{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:40px}
h1{font-size:1rem;font-weight:600;color:var(--faint);margin:0 0 10px;letter-spacing:.01em}
h2{font-size:1.45rem;line-height:1.25;margin:64px 0 6px;letter-spacing:-.01em}
h3{font-size:1.02rem;margin:26px 0 6px}
p{margin:8px 0;max-width:78ch}
a{color:var(--link)}
small,.note{color:var(--faint);font-size:.86rem}
.answer{font-size:clamp(1.55rem,3.6vw,2.5rem);line-height:1.2;font-weight:680;letter-spacing:-.022em;max-width:26em;
  margin:0 0 18px}
.answer b{color:var(--link);font-weight:inherit}
.more{margin:0;padding:18px 22px;background:var(--raised);border-radius:14px;list-style:none;display:grid;gap:8px}
.more li{max-width:90ch}
.warn{color:var(--warn);font-weight:600}
.badge{display:inline-block;font-size:.72rem;line-height:1;padding:3px 6px;border-radius:99px;font-weight:600;
  color:var(--warn);border:1px solid currentColor;white-space:nowrap;vertical-align:.1em}
nav{position:sticky;top:0;z-index:5;background:var(--ground);border-bottom:1px solid var(--line);margin-top:26px;
  display:flex;gap:4px 18px;overflow-x:auto;padding-top:10px;padding-bottom:10px;font-size:.9rem;scrollbar-width:none}
nav a{text-decoration:none;white-space:nowrap}
section{scroll-margin-top:44px}
.scroll{overflow-x:auto;margin:14px -20px;padding:0 20px}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
td{white-space:nowrap}
th,td{padding:7px 12px;text-align:right;vertical-align:middle;border-bottom:1px solid var(--line)}
th .badge{margin-top:4px}
th{font-weight:600;color:var(--faint);font-size:.8rem;line-height:1.25;vertical-align:bottom}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--ground);z-index:1}
tbody th{color:var(--ink);font-size:.9rem;vertical-align:middle}
tbody tr.best td,tbody tr.best th{font-weight:600}
td small{display:block;line-height:1.2;font-weight:400;white-space:nowrap}
.name{white-space:nowrap}
.dot{display:inline-block;width:.72em;height:.72em;border-radius:50%;margin-right:.55em;vertical-align:-.03em}
.bar{display:block;position:relative;height:8px;min-width:130px;border-radius:4px;margin:3px 0 4px;
  background:var(--line)}
.bar i{position:absolute;inset:0 auto 0 0;border-radius:4px;background:var(--bar,var(--link))}
.bar u{position:absolute;top:3px;height:2px;background:var(--ink);opacity:.75}
.heat{border-collapse:separate;border-spacing:2px;font-size:.76rem}
.heat td,.heat th{border:0;padding:3px 5px;text-align:center}
.heat td{min-width:clamp(36px,calc(700px / var(--n)),92px);border-radius:4px}
.heat tbody th{font-weight:400;font-size:.82rem;text-align:left;white-space:nowrap;padding-right:12px}
.heat thead th{vertical-align:bottom;height:9.5em;padding:0}
.heat thead th span{writing-mode:vertical-rl;transform:rotate(180deg);white-space:nowrap;padding:2px 0;color:var(--ink)}
.heat thead th:first-child{vertical-align:bottom;padding:3px}
.heat tr.family th{padding-top:12px;color:var(--faint);font-weight:600}
.heat tr.family th::first-letter{text-transform:uppercase}
.heat td:hover{outline:2px solid var(--ink)}
.scale{display:flex;flex-wrap:wrap;gap:3px;font-size:.76rem;margin:12px 0 0}
.scale span{padding:3px 9px;border-radius:4px;white-space:nowrap}
figure{margin:16px 0}
figure svg{display:block;width:100%;height:auto;min-width:560px}
figure svg text{font-family:inherit!important}
figcaption{color:var(--faint);font-size:.86rem;max-width:78ch}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(290px,1fr));gap:14px;margin:16px 0}
.card{background:var(--raised);border-radius:14px;padding:14px 16px;break-inside:avoid;overflow:hidden}
.card h3{margin:0 0 8px}
.card dl{display:grid;grid-template-columns:1fr auto;gap:3px 12px;margin:0;font-size:.86rem}
.card dd{margin:0;font-variant-numeric:tabular-nums;text-align:right}
.card dt .bar{min-width:0;height:5px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:6px}
.pair div{min-width:0}
.pair img,.blank{display:block;width:100%;aspect-ratio:4/3;object-fit:contain;border-radius:8px;background:var(--line)}
.blank{display:grid;place-items:center;color:var(--faint);font-size:.8rem}
.pair small{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;margin-top:3px}
.by{margin:8px 0 0;font-size:.82rem;line-height:1.5}
.by span.dot{display:inline-block}
.by>span:not(.dot){display:block}
pre{background:var(--raised);border-radius:10px;padding:14px 16px;overflow:auto;font-size:.82rem;max-height:30em}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
details{margin:14px 0}
summary{cursor:pointer;color:var(--link);font-size:.94rem}
dl.words{display:grid;grid-template-columns:minmax(9em,auto) 1fr;gap:6px 20px;max-width:100ch}
dl.words dt{font-weight:600}
dl.words dd{margin:0}
footer{margin-top:64px;padding-top:18px;padding-bottom:40px;border-top:1px solid var(--line)}
@media(max-width:640px){
  header{padding-top:24px} h2{margin-top:48px} .more{padding:14px 16px}
  th,td{padding:6px 8px} .heat td{min-width:36px} dl.words{grid-template-columns:1fr} dl.words dd{margin-bottom:8px}
}
@media print{
  body{font-size:10.5pt} nav{display:none} .scroll{overflow:visible} figure svg{min-width:0}
  h2{margin-top:28px} h2,h3,section>p{break-after:avoid}
  figure,.card,tr{break-inside:avoid} a{color:inherit;text-decoration:none}
  *{-webkit-print-color-adjust:exact;print-color-adjust:exact} .more,.card,pre{border:1px solid var(--line)}
  th:first-child,td:first-child{position:static} details::details-content{content-visibility:visible;display:block}
  .heat{font-size:6.5pt} .heat td{min-width:0}
}
"""
