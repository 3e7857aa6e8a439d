// Mutations that keep a file's three parts together: the header alone is mutated, its length is put before it, and there are
// as many bytes of numbers behind it as its last data_offsets say.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned int seed);

enum { LENGTH = 8 };

// The largest end in the header's data_offsets.
static size_t end_of_numbers(const char *header) {
  size_t largest = 0, begin, end;
  for (const char *p = header; (p = strstr(p, "data_offsets")); p++)
    if (sscanf(p, "data_offsets\":[%zu,%zu", &begin, &end) == 2 && end > largest) largest = end;
  return largest;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned int seed) {
  uint64_t length = 0;
  for (size_t i = 0; i < LENGTH && i < n; i++) length |= (uint64_t)data[i] << 8 * i;
  if (seed % 4 == 0 || n < LENGTH || length > n - LENGTH) return LLVMFuzzerMutate(data, n, most);
  char *header = calloc(1, most + 1);
  memcpy(header, data + LENGTH, length);
  size_t text = LLVMFuzzerMutate((uint8_t *)header, length, most - LENGTH);
  header[text] = 0;
  size_t numbers = end_of_numbers(header), room = most - LENGTH - text, had = n - LENGTH - length;
  if (numbers > room || seed % 8 == 1) numbers = had < room ? had : room;
  memmove(data + LENGTH + text, data + LENGTH + length, had < numbers ? had : numbers);
  if (had < numbers) memset(data + LENGTH + text + had, 0, numbers - had);
  memcpy(data + LENGTH, header, text);
  for (size_t i = 0; i < LENGTH; i++) data[i] = (uint8_t)((uint64_t)text >> 8 * i);
  free(header);
  return LENGTH + text + numbers;
}
