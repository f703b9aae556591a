# SPDX-License-Identifier: GPL-2.0-only
# Completion of cvctl's commands and options for bash: source it, or install it as bash-completion's cvctl.

_cvctl() {
    local word=${COMP_WORDS[COMP_CWORD]} options=
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "status vms stats log --help --version" -- "$word")
        return
    fi
    case "${COMP_WORDS[1]}" in
    vms) options="--json --wide" ;;
    stats) options="--json --watch" ;;
    log) options="--json" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _cvctl cvctl
