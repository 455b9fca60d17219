/** Which addresses may become links or targets of a redirect. */

/** `https://host/path` for an HTTPS or SSH address; undefined for a directory, another scheme or an address with credentials. */
export function webAddress(repository: string): string | undefined {
  const web = /^(https?):\/\/([^/@\s]+)\/(\S+?)(?:\.git)?\/?$/.exec(repository);
  if (web) return `${web[1]}://${web[2]}/${web[3]}`;
  const ssh = /^(?:ssh:\/\/)?[\w.-]+@([\w.-]+)(?::\d+\/|:|\/)(\S+?)(?:\.git)?\/?$/.exec(repository);
  return ssh ? `https://${ssh[1]}/${ssh[2]}` : undefined;
}

/** Whether it may be a link. Addresses come from untrusted sources: `javascript:` and other schemes must not become links. */
export function isWebUrl(url: string): boolean {
  return /^https?:\/\/[^\s]+$/.test(url);
}

/** The path if it is one of this server, else "/": a link to the login page must not redirect to another site. */
export function localPath(path: string | undefined): string {
  return path && /^\/(?![/\\])/.test(path) ? path : "/";
}
