"""Where rows come from. One file per kind; a source keeps no position, it is told where to go on."""
