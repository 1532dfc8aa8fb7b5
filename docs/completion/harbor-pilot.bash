# bash completion for harbor-pilot(1). Source it, or put it into
# /usr/share/bash-completion/completions/harbor-pilot. It needs bash 4 and nothing else.

# Puts into COMPREPLY what of the words in $1 begins with $2.
_harbor_pilot_words() {
    local word
    for word in $1; do
        [[ $word == "$2"* ]] && COMPREPLY+=("$word")
    done
}

# Files whose names begin with $1; with -d directories only.
_harbor_pilot_files() {
    local kind=-f name
    if [[ $1 == -d ]]; then
        kind=-d
        shift
    fi
    compopt -o filenames 2>/dev/null
    while IFS= read -r name; do
        COMPREPLY+=("$name")
    done < <(compgen "$kind" -- "$1")
}

# Values of option $2 of command $1 that begin with $3. False where the option takes none.
_harbor_pilot_value() {
    case "$1 $2" in
        'plan -o' | 'plan --output')
            _harbor_pilot_words 'table json patch' "$3" ;;
        'explain -o' | 'explain --output' | 'check -o' | 'check --output' | 'rescue -o' | 'rescue --output')
            _harbor_pilot_words 'text json' "$3" ;;
        'serve --log-format')
            _harbor_pilot_words 'json text' "$3" ;;
        'plan --assume-mode' | 'explain --mode')
            _harbor_pilot_words 'audit enforce' "$3" ;;
        'explain --pull-policy')
            _harbor_pilot_words 'Always IfNotPresent Never' "$3" ;;
        'certs init --directory')
            _harbor_pilot_files -d "$3" ;;
        *' --policies' | 'plan -f' | 'plan --filename' | 'plan --facts' | 'plan --record' | \
            'explain --facts' | 'check --cases' | 'check --namespaces' | 'serve --tls-cert-file' | \
            'serve --tls-private-key-file' | 'serve --client-ca-file' | 'serve --events-secret-file' | \
            'serve --metrics-token-file' | 'rescue --kubeconfig')
            _harbor_pilot_files "$3" ;;
        'plan --template' | 'plan -n' | 'plan --namespace' | 'explain -n' | 'explain --namespace' | \
            'explain --owner' | 'explain --pod-template-hash' | 'explain --label' | \
            'certs init --dns-name' | 'certs init --ip-address' | \
            'certs init --days' | 'certs init --ca-days' | 'serve --bind-address' | \
            'serve --admin-bind-address' | 'serve --threads' | 'serve --shutdown-timeout' | \
            'serve --max-connections' | 'serve --watch-interval' | 'rescue -n' | 'rescue --namespace' | \
            'rescue --hung-after' | 'rescue --admin-bind-address' | 'rescue --context' | 'rescue --as') ;;
        *)
            return 1 ;;
    esac
}

_harbor_pilot() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]-} options
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _harbor_pilot_words 'serve check plan explain rescue certs version --help --version' "$current"
        return
    fi
    if [[ $command == certs ]]; then
        if ((COMP_CWORD == 2)); then
            _harbor_pilot_words 'init --help' "$current"
            return
        fi
        command="certs ${COMP_WORDS[2]}"
    fi

    # --output=json is three words, as = breaks words by default
    if [[ $current == = && $previous == --* ]]; then
        current=
    elif [[ $previous == = && ${COMP_WORDS[COMP_CWORD - 2]} == --* ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    _harbor_pilot_value "$command" "$previous" "$current" && return

    case $command in
        serve)
            options='--policies --tls-cert-file --tls-private-key-file --bind-address
                --admin-bind-address --client-ca-file --events-secret-file --metrics-token-file --threads
                --shutdown-timeout --max-connections --watch-interval --strict --log-format --help' ;;
        plan)
            options='--policies -f --filename -n --namespace --assume-mode --template --facts --live --require-gate
                --record --expect-all-moved -o --output --help' ;;
        explain)
            options='--policies -n --namespace --owner --pod-template-hash --label --pull-policy --mode
                --facts --live --require-gate -o --output --help' ;;
        check)
            options='--policies --cases --namespaces -o --output --help' ;;
        rescue)
            options='--policies -n --namespace --watch --even-if-healthy --hung-after --admin-bind-address
                --kubeconfig --context --as --dry-run --yes -o --output --help' ;;
        'certs init')
            options='--directory --dns-name --ip-address --days --ca-days --force --help' ;;
        version)
            options='--help' ;;
        *)
            return ;;
    esac
    _harbor_pilot_words "$options" "$current"
}

complete -F _harbor_pilot harbor-pilot
