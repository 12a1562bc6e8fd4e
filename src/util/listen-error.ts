// Why a server cannot listen, in words for whoever starts it.
import { ConfigError, UnavailableError } from './errors.ts';

/** `where` is such as `port 8000` or the path of a socket. */
export function listenError(error: Error, where: string): Error {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new UnavailableError(`${where} is in use by another program: stop it or choose another`, {
      cause: error,
    });
  }
  if (code === 'EACCES') {
    return new ConfigError(`this user may not listen on ${where}: choose another or grant it`, {
      cause: error,
    });
  }
  return new ConfigError(`cannot listen on ${where}: ${error.message}`, { cause: error });
}
