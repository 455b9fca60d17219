/** Where a repository can be looked at, as far as its address says. */

/** `https://host/path` of a repository's address by https or ssh; nothing for a directory or what has a login in it. */
export function webAddress(repository: string): string | undefined {
  const web = /^(https?):\/\/([^/@\s]+)\/(\S+?)(?:\.git)?\/?$/.exec(repository);
  if (web) return `${web[1]}://${web[2]}/${web[3]}`;
  const ssh = /^(?:ssh:\/\/)?[\w.-]+@([\w.-]+)(?::\d+\/|:|\/)(\S+?)(?:\.git)?\/?$/.exec(repository);
  return ssh ? `https://${ssh[1]}/${ssh[2]}` : undefined;
}
