/* A stub of NVIDIA's driver library: the functions of NVML that tfserve calls. Environment variables set the results.
 *
 * TFSERVE_TEST_NVML_GPUS    GPUs separated by ";", each as: name|uuid|total bytes|free bytes|MIG UUIDs.
 *                           The last field is a list with commas, or "-" for an empty one; without it MIG mode is off.
 *                           A GPU with the name "lost" does not respond.
 * TFSERVE_TEST_NVML_DRIVER  The version of the driver.
 * TFSERVE_TEST_NVML_CUDA    The CUDA version that it supports, as 12040.
 * TFSERVE_TEST_NVML_ERROR   The result of nvmlInit.
 * TFSERVE_TEST_NVML_HANG    If set, nvmlInit never returns.
 * TFSERVE_TEST_NVML_CRASH   If set, nvmlInit aborts the process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_FOUND = 6, GPU_IS_LOST = 15 };
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef long handle_t; /* the number of a GPU, from 1; or that number times 1000, plus the index of a MIG device */

static const char *setting(const char *name, const char *default_value) {
  const char *value = getenv(name);
  return value && *value ? value : default_value;
}

/* Copies item `number` of `list` to `out`; returns 0 if the list has no such item. */
static int part(const char *list, char separator, int number, char *out, size_t size) {
  for (; number > 0; number--) {
    list = strchr(list, separator);
    if (!list) return 0;
    list++;
  }
  size_t length = 0;
  while (list[length] && list[length] != separator) length++;
  if (!length || length >= size) return 0;
  memcpy(out, list, length);
  out[length] = 0;
  return 1;
}

static int field(handle_t gpu, int number, char *out, size_t size) {
  char entry[2048];
  return part(setting("TFSERVE_TEST_NVML_GPUS", ""), ';', (int)gpu - 1, entry, sizeof entry) &&
         part(entry, '|', number, out, size);
}

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  if (getenv("TFSERVE_TEST_NVML_HANG"))
    for (;;) pause();
  if (getenv("TFSERVE_TEST_NVML_CRASH")) abort();
  return atoi(setting("TFSERVE_TEST_NVML_ERROR", "0"));
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) {
  return code == 18 ? "Driver/library version mismatch" : code == 9 ? "Driver Not Loaded" : "Some Error";
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
  snprintf(out, size, "%s", setting("TFSERVE_TEST_NVML_DRIVER", "550.54.15"));
  return SUCCESS;
}
int nvmlSystemGetCudaDriverVersion(int *out) {
  *out = atoi(setting("TFSERVE_TEST_NVML_CUDA", "12040"));
  return SUCCESS;
}
int nvmlSystemGetCudaDriverVersion_v2(int *out) { return nvmlSystemGetCudaDriverVersion(out); }

int nvmlDeviceGetCount_v2(unsigned *count) {
  char name[256];
  for (*count = 0; field((handle_t)*count + 1, 0, name, sizeof name); ++*count)
    ;
  return SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, handle_t *handle) {
  char name[256];
  if (!field((handle_t)index + 1, 0, name, sizeof name)) return INVALID_ARGUMENT;
  *handle = (handle_t)index + 1;
  return strcmp(name, "lost") ? SUCCESS : GPU_IS_LOST;
}
int nvmlDeviceGetName(handle_t handle, char *out, unsigned size) {
  return field(handle, 0, out, size) ? SUCCESS : NOT_FOUND;
}
int nvmlDeviceGetUUID(handle_t handle, char *out, unsigned size) {
  char slices[1024];
  if (handle < 1000) return field(handle, 1, out, size) ? SUCCESS : NOT_FOUND;
  return field(handle / 1000, 4, slices, sizeof slices) && part(slices, ',', (int)(handle % 1000), out, size)
             ? SUCCESS
             : NOT_FOUND;
}
int nvmlDeviceGetMemoryInfo(handle_t handle, nvmlMemory_t *memory) {
  char total[64], free_[64];
  if (!field(handle, 2, total, sizeof total) || !field(handle, 3, free_, sizeof free_)) return NOT_FOUND;
  memory->total = strtoull(total, NULL, 10);
  memory->free = strtoull(free_, NULL, 10);
  memory->used = memory->total - memory->free;
  return SUCCESS;
}
int nvmlDeviceGetMigMode(handle_t handle, unsigned *current, unsigned *pending) {
  char slices[1024];
  *current = *pending = (unsigned)field(handle, 4, slices, sizeof slices);
  return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(handle_t handle, unsigned *count) {
  (void)handle;
  *count = 7;
  return SUCCESS;
}
int nvmlDeviceGetMigDeviceHandleByIndex(handle_t handle, unsigned index, handle_t *slice) {
  char slices[1024], uuid[256];
  if (!field(handle, 4, slices, sizeof slices) || !strcmp(slices, "-")) return NOT_FOUND;
  if (!part(slices, ',', (int)index, uuid, sizeof uuid)) return NOT_FOUND;
  *slice = handle * 1000 + (handle_t)index;
  return SUCCESS;
}
