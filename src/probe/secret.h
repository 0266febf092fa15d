#ifndef TCPKI_PROBE_SECRET_H
#define TCPKI_PROBE_SECRET_H

/*
** Frees a text of malloc's that may hold a key, and leaves nothing of it behind. The text of a
** certificate may as well: one file may have both. NULL is fine.
*/
void secret_free(char *text);

#endif
