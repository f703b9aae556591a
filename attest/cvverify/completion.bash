# SPDX-License-Identifier: GPL-2.0-only
# Completion of cvverify's commands and options for bash: source it, or install it as bash-completion's cvverify.

_cvverify() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options=
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "challenge verify release explain reference policy --help --version" -- "$word")
        return
    fi
    case "${COMP_WORDS[1]}" in
    challenge) options="--state --nonce-out --ek --ak --credential" ;;
    verify) options="--evidence --policy --state --nonce --ek-root --ear --ear-key" ;;
    release) options="--evidence --policy --state --nonce --ek-root --launch --secret --out --keep-key" ;;
    explain) options="--log --evidence --policy" ;;
    reference)
        options="--loader --next --config --layer --layer-version --log --launch --ek-name --ak-name --any-machine
            --iommu-optional --open --unquoted --name --out"
        ;;
    policy) [ "$COMP_CWORD" -eq 2 ] && options="check diff" ;;
    esac
    case "$before" in
    --nonce | --launch | --layer-version | --ek-name | --ak-name | --open | --unquoted | --name) COMPREPLY=() ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$options --json --help" -- "$word"; compgen -f -- "$word") ;;
    esac
}
complete -F _cvverify cvverify
