"""The paper's tables with what was measured here beside every published figure, as HTML, Markdown and LaTeX."""
