
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'failctl' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'failctl'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'failctl' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Write a commented starter from the contexts of your kubeconfig')
            [CompletionResult]::new('render', 'render', [CompletionResultType]::ParameterValue, 'Print the resources of a failover, per cluster')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what apply would change (exit code 1 when something would)')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Write a failover to its clusters, the backup side first')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Remove what failctl wrote, and give back what it changed')
            [CompletionResult]::new('gateway', 'gateway', [CompletionResultType]::ParameterValue, 'Failover gateways: render, apply, print the proxy''s URL')
            [CompletionResult]::new('scheme', 'scheme', [CompletionResultType]::ParameterValue, 'The failover resources alone: render, apply')
            [CompletionResult]::new('route', 'route', [CompletionResultType]::ParameterValue, 'Routes at the edge: add, remove')
            [CompletionResult]::new('certs', 'certs', [CompletionResultType]::ParameterValue, 'Certificates for mutual TLS between gateways: generate, install, status')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Who serves now, since when and why')
            [CompletionResult]::new('simulate', 'simulate', [CompletionResultType]::ParameterValue, 'Break something under load, watch, put it back')
            [CompletionResult]::new('sandbox', 'sandbox', [CompletionResultType]::ParameterValue, 'Clusters on this machine that real clients accept')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'From nothing to a proven failover, narrated')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Print the JSON Schema of failctl''s documents')
            [CompletionResult]::new('completion', 'completion', [CompletionResultType]::ParameterValue, 'Print a completion script for your shell')
            [CompletionResult]::new('child', 'child', [CompletionResultType]::ParameterValue, 'Become another program that dies with the process that started it')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;init' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to write; `-` for stdout')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Where to write; `-` for stdout')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Overwrite a file that is there')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;render' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--cluster', '--cluster', [CompletionResultType]::ParameterName, 'Only the resources of this cluster')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format: a stream of YAML documents, or one JSON object per line')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format: a stream of YAML documents, or one JSON object per line')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write DIR/CLUSTER/*.yaml instead of printing; files of an earlier render that are not wanted any more are removed')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;diff' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'As if objects and fields that somebody else holds were taken over')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;apply' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only show what would be done: client compares, server lets every cluster check it')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take over objects and fields that somebody else holds')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Wait until Gloo and Federation have accepted everything (deadline: --timeout)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;delete' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only show what would be done: client compares, server lets every cluster check it')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Everything failctl ever wrote to the clusters of the fleet, whatever the documents say now')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take over objects and fields that somebody else holds')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;gateway' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('render', 'render', [CompletionResultType]::ParameterValue, 'Print the failover gateways and their Services')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Write the failover gateways and their Services')
            [CompletionResult]::new('url', 'url', [CompletionResultType]::ParameterValue, 'Print where a cluster''s proxy is reached, and nothing else')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;gateway;render' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--cluster', '--cluster', [CompletionResultType]::ParameterName, 'Only the resources of this cluster')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format: a stream of YAML documents, or one JSON object per line')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format: a stream of YAML documents, or one JSON object per line')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;gateway;apply' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only show what would be done: client compares, server lets every cluster check it')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take over objects and fields that somebody else holds')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;gateway;url' {
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'Name of the Service''s port')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'Name of the proxy''s Service in Gloo''s namespace')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;gateway;help' {
            [CompletionResult]::new('render', 'render', [CompletionResultType]::ParameterValue, 'Print the failover gateways and their Services')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Write the failover gateways and their Services')
            [CompletionResult]::new('url', 'url', [CompletionResultType]::ParameterValue, 'Print where a cluster''s proxy is reached, and nothing else')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;gateway;help;render' {
            break
        }
        'failctl;gateway;help;apply' {
            break
        }
        'failctl;gateway;help;url' {
            break
        }
        'failctl;gateway;help;help' {
            break
        }
        'failctl;scheme' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('render', 'render', [CompletionResultType]::ParameterValue, 'Print the FailoverSchemes, or the Upstreams with their failover')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Write the FailoverSchemes, or the Upstreams with their failover')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;scheme;render' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--cluster', '--cluster', [CompletionResultType]::ParameterName, 'Only the resources of this cluster')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format: a stream of YAML documents, or one JSON object per line')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format: a stream of YAML documents, or one JSON object per line')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;scheme;apply' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only show what would be done: client compares, server lets every cluster check it')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take over objects and fields that somebody else holds')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Wait until they are accepted (deadline: --timeout)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;scheme;help' {
            [CompletionResult]::new('render', 'render', [CompletionResultType]::ParameterValue, 'Print the FailoverSchemes, or the Upstreams with their failover')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Write the FailoverSchemes, or the Upstreams with their failover')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;scheme;help;render' {
            break
        }
        'failctl;scheme;help;apply' {
            break
        }
        'failctl;scheme;help;help' {
            break
        }
        'failctl;route' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Route requests with a path prefix to an Upstream')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove a route that `route add` made')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;route;add' {
            [CompletionResult]::new('--path-prefix', '--path-prefix', [CompletionResultType]::ParameterName, 'Path prefix')
            [CompletionResult]::new('--dest-name', '--dest-name', [CompletionResultType]::ParameterName, 'Upstream')
            [CompletionResult]::new('--dest-namespace', '--dest-namespace', [CompletionResultType]::ParameterName, 'Namespace of the Upstream (default: Gloo''s namespace on that cluster)')
            [CompletionResult]::new('--cluster', '--cluster', [CompletionResultType]::ParameterName, 'The cluster at whose edge the route is')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'Hosts it is for; repeatable')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The route''s name (default: made of the Upstream and the prefix)')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only show what would be done: client compares, server lets every cluster check it')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take over objects and fields that somebody else holds')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;route;remove' {
            [CompletionResult]::new('--path-prefix', '--path-prefix', [CompletionResultType]::ParameterName, 'Path prefix')
            [CompletionResult]::new('--dest-name', '--dest-name', [CompletionResultType]::ParameterName, 'Upstream')
            [CompletionResult]::new('--dest-namespace', '--dest-namespace', [CompletionResultType]::ParameterName, 'Namespace of the Upstream (default: Gloo''s namespace on that cluster)')
            [CompletionResult]::new('--cluster', '--cluster', [CompletionResultType]::ParameterName, 'The cluster at whose edge the route is')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'Hosts it is for; repeatable')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The route''s name (default: made of the Upstream and the prefix)')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only show what would be done: client compares, server lets every cluster check it')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take over objects and fields that somebody else holds')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;route;help' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Route requests with a path prefix to an Upstream')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove a route that `route add` made')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;route;help;add' {
            break
        }
        'failctl;route;help;remove' {
            break
        }
        'failctl;route;help;help' {
            break
        }
        'failctl;certs' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Make a root for the fleet and a certificate for every gateway; what is there and valid stays')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Write them to the clusters as TLS secrets')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show what is on disk and what is installed, and whether the two ends accept each other')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;certs;generate' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Directory of certificates and keys (default: failctl-certs beside the first document)')
            [CompletionResult]::new('--algorithm', '--algorithm', [CompletionResultType]::ParameterName, 'Key algorithm: ecdsa-p256, rsa-2048 or rsa-4096')
            [CompletionResult]::new('--days', '--days', [CompletionResultType]::ParameterName, 'Days the certificates of gateways are valid')
            [CompletionResult]::new('--root-days', '--root-days', [CompletionResultType]::ParameterName, 'Days the root is valid')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--renew', '--renew', [CompletionResultType]::ParameterName, 'Issue new certificates for all gateways, under the same root')
            [CompletionResult]::new('--renew-root', '--renew-root', [CompletionResultType]::ParameterName, 'Start over with a new root; until installed everywhere, the two ends of a failover do not accept each other')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;certs;install' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Directory of certificates and keys (default: failctl-certs beside the first document)')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only show what would be done: client compares, server lets every cluster check it')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long to wait for what others have to do first, such as discovering an Upstream or giving out an address')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask; required when nobody sits at the terminal')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take over objects and fields that somebody else holds')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;certs;status' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Directory of certificates and keys (default: failctl-certs beside the first document)')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--disk', '--disk', [CompletionResultType]::ParameterName, 'Only what is on disk; ask no cluster')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;certs;help' {
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Make a root for the fleet and a certificate for every gateway; what is there and valid stays')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Write them to the clusters as TLS secrets')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show what is on disk and what is installed, and whether the two ends accept each other')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;certs;help;generate' {
            break
        }
        'failctl;certs;help;install' {
            break
        }
        'failctl;certs;help;status' {
            break
        }
        'failctl;certs;help;help' {
            break
        }
        'failctl;status' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-w', '-w', [CompletionResultType]::ParameterName, 'Show it again every two seconds until Ctrl-C; exits with the last answer')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Show it again every two seconds until Ctrl-C; exits with the last answer')
            [CompletionResult]::new('--no-drift', '--no-drift', [CompletionResultType]::ParameterName, 'Do not compare the documents with the clusters')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;simulate' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor''s or Kubernetes'' own')
            [CompletionResult]::new('--fault', '--fault', [CompletionResultType]::ParameterName, 'What to break')
            [CompletionResult]::new('--failover', '--failover', [CompletionResultType]::ParameterName, 'The failover under test (default: the only one)')
            [CompletionResult]::new('--cluster', '--cluster', [CompletionResultType]::ParameterName, 'Where to break it (default: the primary''s cluster; for gateway-down the first backup''s)')
            [CompletionResult]::new('--deployment', '--deployment', [CompletionResultType]::ParameterName, 'The Deployment to break (default: those behind the primary''s Service)')
            [CompletionResult]::new('--form', '--form', [CompletionResultType]::ParameterName, 'How much of the cluster dies: its workloads and API, or all of it')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'Where requests go (default: the gateway of the primary''s cluster)')
            [CompletionResult]::new('--path', '--path', [CompletionResultType]::ParameterName, 'The path to ask for (default: the URL''s, or the prefix of the failover''s route)')
            [CompletionResult]::new('--answered-by', '--answered-by', [CompletionResultType]::ParameterName, 'Where an answer says who gave it: a regular expression, its first group (default: the body''s first line)')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The Host header (default: the route''s, or the URL''s)')
            [CompletionResult]::new('--rate', '--rate', [CompletionResultType]::ParameterName, 'Requests per second (default 100)')
            [CompletionResult]::new('--warmup', '--warmup', [CompletionResultType]::ParameterName, 'Load before the fault (default 5s)')
            [CompletionResult]::new('--heal-after', '--heal-after', [CompletionResultType]::ParameterName, 'How long the fault lasts (default 15s)')
            [CompletionResult]::new('--duration', '--duration', [CompletionResultType]::ParameterName, 'All of it at most, from the first request to the last (default 50s)')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long one request may take (default 10s)')
            [CompletionResult]::new('--max-failed', '--max-failed', [CompletionResultType]::ParameterName, 'Requests that may be lost (default 0)')
            [CompletionResult]::new('--max-detection', '--max-detection', [CompletionResultType]::ParameterName, 'The fault may go unnoticed by the gateway for this long')
            [CompletionResult]::new('--max-failover', '--max-failover', [CompletionResultType]::ParameterName, 'The backup must serve alone after this long')
            [CompletionResult]::new('--max-failback', '--max-failback', [CompletionResultType]::ParameterName, 'The primary must serve alone this long after healing')
            [CompletionResult]::new('--expected', '--expected', [CompletionResultType]::ParameterName, 'What the drill must show')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'List what would be broken and what would be asked, and do nothing')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Start although the service is not well before anything is broken')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('restore', 'restore', [CompletionResultType]::ParameterValue, 'Put back what a drill that was killed left broken')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;simulate;restore' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;simulate;help' {
            [CompletionResult]::new('restore', 'restore', [CompletionResultType]::ParameterValue, 'Put back what a drill that was killed left broken')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;simulate;help;restore' {
            break
        }
        'failctl;simulate;help;help' {
            break
        }
        'failctl;sandbox' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('up', 'up', [CompletionResultType]::ParameterValue, 'Start clusters on this machine, and wait until their gateways are ready')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the clusters')
            [CompletionResult]::new('down', 'down', [CompletionResultType]::ParameterValue, 'End everything, and remove its files')
            [CompletionResult]::new('kubeconfig', 'kubeconfig', [CompletionResultType]::ParameterValue, 'Print the path of the kubeconfig with all contexts')
            [CompletionResult]::new('fleet', 'fleet', [CompletionResultType]::ParameterValue, 'Print the path of the fleet document that names the clusters')
            [CompletionResult]::new('stop', 'stop', [CompletionResultType]::ParameterValue, 'Cut a cluster''s power')
            [CompletionResult]::new('start', 'start', [CompletionResultType]::ParameterValue, 'Give a cluster its power back')
            [CompletionResult]::new('node', 'node', [CompletionResultType]::ParameterValue, 'Run the sandbox''s node for any API server')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Arguments of `failctl sandbox run`')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;sandbox;up' {
            [CompletionResult]::new('--clusters', '--clusters', [CompletionResultType]::ParameterName, 'Clusters, each NAME or NAME=CONTEXT; the first one runs Gloo Federation [default: local=gloo-fed,remote=gloo-fed-2]')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The sandbox''s name')
            [CompletionResult]::new('--envoy', '--envoy', [CompletionResultType]::ParameterName, 'The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl''s cache, else fetched with pip)')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;status' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The sandbox''s name')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;down' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The sandbox''s name')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;kubeconfig' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The sandbox''s name')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;fleet' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The sandbox''s name')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--show', '--show', [CompletionResultType]::ParameterName, 'Print the document itself')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;stop' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The sandbox''s name')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--keep-edge', '--keep-edge', [CompletionResultType]::ParameterName, 'API and workloads die; the gateway and the load balancer go on with what they last knew')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;start' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The sandbox''s name')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;node' {
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'The kubeconfig context to use (default: its current one)')
            [CompletionResult]::new('--node-name', '--node-name', [CompletionResultType]::ParameterName, 'The Node''s name')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The node''s address, where its kubelet listens')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'The kubelet''s port')
            [CompletionResult]::new('--pods', '--pods', [CompletionResultType]::ParameterName, 'Addresses for pods: FIRST-LAST or CIDR, local to this machine')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'A label of the Node; may be repeated')
            [CompletionResult]::new('--envoy', '--envoy', [CompletionResultType]::ParameterName, 'The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl''s cache, else fetched with pip)')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;run' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'The sandbox''s name')
            [CompletionResult]::new('--clusters', '--clusters', [CompletionResultType]::ParameterName, 'clusters')
            [CompletionResult]::new('--envoy', '--envoy', [CompletionResultType]::ParameterName, 'envoy')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;sandbox;help' {
            [CompletionResult]::new('up', 'up', [CompletionResultType]::ParameterValue, 'Start clusters on this machine, and wait until their gateways are ready')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the clusters')
            [CompletionResult]::new('down', 'down', [CompletionResultType]::ParameterValue, 'End everything, and remove its files')
            [CompletionResult]::new('kubeconfig', 'kubeconfig', [CompletionResultType]::ParameterValue, 'Print the path of the kubeconfig with all contexts')
            [CompletionResult]::new('fleet', 'fleet', [CompletionResultType]::ParameterValue, 'Print the path of the fleet document that names the clusters')
            [CompletionResult]::new('stop', 'stop', [CompletionResultType]::ParameterValue, 'Cut a cluster''s power')
            [CompletionResult]::new('start', 'start', [CompletionResultType]::ParameterValue, 'Give a cluster its power back')
            [CompletionResult]::new('node', 'node', [CompletionResultType]::ParameterValue, 'Run the sandbox''s node for any API server')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Arguments of `failctl sandbox run`')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;sandbox;help;up' {
            break
        }
        'failctl;sandbox;help;status' {
            break
        }
        'failctl;sandbox;help;down' {
            break
        }
        'failctl;sandbox;help;kubeconfig' {
            break
        }
        'failctl;sandbox;help;fleet' {
            break
        }
        'failctl;sandbox;help;stop' {
            break
        }
        'failctl;sandbox;help;start' {
            break
        }
        'failctl;sandbox;help;node' {
            break
        }
        'failctl;sandbox;help;run' {
            break
        }
        'failctl;sandbox;help;help' {
            break
        }
        'failctl;demo' {
            [CompletionResult]::new('--story', '--story', [CompletionResultType]::ParameterName, 'Which story')
            [CompletionResult]::new('--rate', '--rate', [CompletionResultType]::ParameterName, 'Requests per second and configuration (default: 200, with --full 500)')
            [CompletionResult]::new('--envoy', '--envoy', [CompletionResultType]::ParameterName, 'The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl''s cache, else fetched with pip)')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output format of the summary')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output format of the summary')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--full', '--full', [CompletionResultType]::ParameterName, 'The record: at least 10000 requests per fault and configuration, 3000 of them inside the fault')
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'Keep the documents that were written, and say where')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;schema' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;completion' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;child' {
            [CompletionResult]::new('--parent', '--parent', [CompletionResultType]::ParameterName, 'Process id of the one that starts this process')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed')
            [CompletionResult]::new('--terminal', '--terminal', [CompletionResultType]::ParameterName, 'Make the terminal on standard input the program''s controlling terminal')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr; twice for requests')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'failctl;help' {
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Write a commented starter from the contexts of your kubeconfig')
            [CompletionResult]::new('render', 'render', [CompletionResultType]::ParameterValue, 'Print the resources of a failover, per cluster')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what apply would change (exit code 1 when something would)')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Write a failover to its clusters, the backup side first')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Remove what failctl wrote, and give back what it changed')
            [CompletionResult]::new('gateway', 'gateway', [CompletionResultType]::ParameterValue, 'Failover gateways: render, apply, print the proxy''s URL')
            [CompletionResult]::new('scheme', 'scheme', [CompletionResultType]::ParameterValue, 'The failover resources alone: render, apply')
            [CompletionResult]::new('route', 'route', [CompletionResultType]::ParameterValue, 'Routes at the edge: add, remove')
            [CompletionResult]::new('certs', 'certs', [CompletionResultType]::ParameterValue, 'Certificates for mutual TLS between gateways: generate, install, status')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Who serves now, since when and why')
            [CompletionResult]::new('simulate', 'simulate', [CompletionResultType]::ParameterValue, 'Break something under load, watch, put it back')
            [CompletionResult]::new('sandbox', 'sandbox', [CompletionResultType]::ParameterValue, 'Clusters on this machine that real clients accept')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'From nothing to a proven failover, narrated')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Print the JSON Schema of failctl''s documents')
            [CompletionResult]::new('completion', 'completion', [CompletionResultType]::ParameterValue, 'Print a completion script for your shell')
            [CompletionResult]::new('child', 'child', [CompletionResultType]::ParameterValue, 'Become another program that dies with the process that started it')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'failctl;help;init' {
            break
        }
        'failctl;help;render' {
            break
        }
        'failctl;help;diff' {
            break
        }
        'failctl;help;apply' {
            break
        }
        'failctl;help;delete' {
            break
        }
        'failctl;help;gateway' {
            [CompletionResult]::new('render', 'render', [CompletionResultType]::ParameterValue, 'Print the failover gateways and their Services')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Write the failover gateways and their Services')
            [CompletionResult]::new('url', 'url', [CompletionResultType]::ParameterValue, 'Print where a cluster''s proxy is reached, and nothing else')
            break
        }
        'failctl;help;gateway;render' {
            break
        }
        'failctl;help;gateway;apply' {
            break
        }
        'failctl;help;gateway;url' {
            break
        }
        'failctl;help;scheme' {
            [CompletionResult]::new('render', 'render', [CompletionResultType]::ParameterValue, 'Print the FailoverSchemes, or the Upstreams with their failover')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Write the FailoverSchemes, or the Upstreams with their failover')
            break
        }
        'failctl;help;scheme;render' {
            break
        }
        'failctl;help;scheme;apply' {
            break
        }
        'failctl;help;route' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Route requests with a path prefix to an Upstream')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove a route that `route add` made')
            break
        }
        'failctl;help;route;add' {
            break
        }
        'failctl;help;route;remove' {
            break
        }
        'failctl;help;certs' {
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Make a root for the fleet and a certificate for every gateway; what is there and valid stays')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Write them to the clusters as TLS secrets')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show what is on disk and what is installed, and whether the two ends accept each other')
            break
        }
        'failctl;help;certs;generate' {
            break
        }
        'failctl;help;certs;install' {
            break
        }
        'failctl;help;certs;status' {
            break
        }
        'failctl;help;status' {
            break
        }
        'failctl;help;simulate' {
            [CompletionResult]::new('restore', 'restore', [CompletionResultType]::ParameterValue, 'Put back what a drill that was killed left broken')
            break
        }
        'failctl;help;simulate;restore' {
            break
        }
        'failctl;help;sandbox' {
            [CompletionResult]::new('up', 'up', [CompletionResultType]::ParameterValue, 'Start clusters on this machine, and wait until their gateways are ready')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the clusters')
            [CompletionResult]::new('down', 'down', [CompletionResultType]::ParameterValue, 'End everything, and remove its files')
            [CompletionResult]::new('kubeconfig', 'kubeconfig', [CompletionResultType]::ParameterValue, 'Print the path of the kubeconfig with all contexts')
            [CompletionResult]::new('fleet', 'fleet', [CompletionResultType]::ParameterValue, 'Print the path of the fleet document that names the clusters')
            [CompletionResult]::new('stop', 'stop', [CompletionResultType]::ParameterValue, 'Cut a cluster''s power')
            [CompletionResult]::new('start', 'start', [CompletionResultType]::ParameterValue, 'Give a cluster its power back')
            [CompletionResult]::new('node', 'node', [CompletionResultType]::ParameterValue, 'Run the sandbox''s node for any API server')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Arguments of `failctl sandbox run`')
            break
        }
        'failctl;help;sandbox;up' {
            break
        }
        'failctl;help;sandbox;status' {
            break
        }
        'failctl;help;sandbox;down' {
            break
        }
        'failctl;help;sandbox;kubeconfig' {
            break
        }
        'failctl;help;sandbox;fleet' {
            break
        }
        'failctl;help;sandbox;stop' {
            break
        }
        'failctl;help;sandbox;start' {
            break
        }
        'failctl;help;sandbox;node' {
            break
        }
        'failctl;help;sandbox;run' {
            break
        }
        'failctl;help;demo' {
            break
        }
        'failctl;help;schema' {
            break
        }
        'failctl;help;completion' {
            break
        }
        'failctl;help;child' {
            break
        }
        'failctl;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
