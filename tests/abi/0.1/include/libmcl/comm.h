/* Several processes: the communicator's place in the interface.
 *
 * Functions that will work over ranks take an mcl_comm already, so that programs need not change. This version has
 * no way to create one: pass NULL, which means one process. */
#ifndef LIBMCL_COMM_H
#define LIBMCL_COMM_H

typedef struct mcl_comm mcl_comm;

#endif
