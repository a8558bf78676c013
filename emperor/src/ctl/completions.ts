/** Completions for the common shells, made from the table of commands. Pure. */
import { COMMANDS } from "./arguments.ts";

const OPTIONS =
  "--socket --json --wait --timeout --all --concurrency --monitor --follow --since --help";

export const SHELLS = ["bash", "zsh", "fish"] as const;

/** The script for one shell; undefined for one that is not known. */
export function completionsFor(shell: string): string | undefined {
  switch (shell) {
    case "bash":
      return bash();
    case "zsh":
      return `autoload -U +X bashcompinit && bashcompinit\n${bash()}`;
    case "fish":
      return fish();
    default:
      return undefined;
  }
}

function bash(): string {
  return `# emperorctl: put this into a file of /etc/bash_completion.d, or: source <(emperorctl completions bash)
_emperorctl() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  case "$previous" in
    --socket|-s|check) COMPREPLY=($(compgen -f -- "$word")); return ;;
    completions) COMPREPLY=($(compgen -W "${SHELLS.join(" ")}" -- "$word")); return ;;
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "${OPTIONS}" -- "$word")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${Object.keys(COMMANDS).join(" ")}" -- "$word"))
  else
    COMPREPLY=($(compgen -W "$(emperorctl list 2>/dev/null | awk 'NR > 1 {print $1}')" -- "$word"))
  fi
}
complete -F _emperorctl emperorctl
`;
}

function fish(): string {
  const lines = Object.entries(COMMANDS).map(
    ([name, { help }]) =>
      `complete -c emperorctl -n __fish_use_subcommand -a ${name} -d '${help.replaceAll("'", "\\'")}'`,
  );
  return [
    "# emperorctl: emperorctl completions fish > ~/.config/fish/completions/emperorctl.fish",
    "complete -c emperorctl -f",
    ...lines,
    "complete -c emperorctl -n 'not __fish_use_subcommand' -a \"(emperorctl list 2>/dev/null | awk 'NR > 1 {print \\$1}')\"",
    ...OPTIONS.split(" ").map((option) => `complete -c emperorctl -l ${option.slice(2)}`),
    "",
  ].join("\n");
}
