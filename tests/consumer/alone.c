/* Prints what work.h comes to where nothing else is in the process. C99. */
#include "work.h"

int main(void) {
  uint64_t h = work_alone(2);
  printf("%016llx\n", (unsigned long long)h);
  return h == 0;
}
