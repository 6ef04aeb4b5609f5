"""From a query and proposals to refined, scored moments."""
