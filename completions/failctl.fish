complete --keep-order --exclusive --command failctl --arguments "(COMPLETE=fish failctl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
