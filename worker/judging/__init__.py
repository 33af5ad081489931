"""How good a model is: measures, intervals, plots and the report that shows them."""
