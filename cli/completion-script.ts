export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/*
 * Every script asks `duckctl __complete -- WORDS` with the words before the cursor, the last one being the
 * one under way (possibly empty), and gets one `word<TAB>description` per line.
 */
const SCRIPTS: Readonly<Record<Shell, string>> = {
  // Bash breaks words at colons, addresses have them: the line is split at blanks here, and what stands
  // before the last colon is taken off the answers again.
  bash: `_duckctl() {
  local line="\${COMP_LINE:0:COMP_POINT}" word prefix
  local -a words
  read -ra words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  word="\${words[\${#words[@]}-1]}"
  prefix=""
  [[ "$word" == *:* && "$COMP_WORDBREAKS" == *:* ]] && prefix="\${word%:*}:"
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    COMPREPLY+=("\${candidate#"$prefix"}")
  done < <(duckctl __complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _duckctl duckctl
`,
  zsh: `#compdef duckctl
_duckctl() {
  local -a candidates
  local word description
  while IFS=$'\\t' read -r word description; do
    candidates+=("\${word//:/\\\\:}:$description")
  done < <(duckctl __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe 'duckctl' candidates || _files
}
compdef _duckctl duckctl
`,
  fish: `function __duckctl_complete
  set -l words (commandline -opc) (commandline -ct)
  duckctl __complete -- $words[2..-1] 2>/dev/null
end
complete -c duckctl -f -a '(__duckctl_complete)'
`,
};

export function completionScript(shell: Shell): string {
  return SCRIPTS[shell];
}
