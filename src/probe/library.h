#ifndef TCPKI_PROBE_LIBRARY_H
#define TCPKI_PROBE_LIBRARY_H

/*
** Starts gRPC core, once and only when something needs it: it brings threads, and loading a module
** must not. It is never shut down, because a collector runs at moments of its own choosing and the
** other users of gRPC core in the process are not ours to judge; the shared object is linked
** -z nodelete so that those threads keep their code.
*/
void library_start(void);

#endif
