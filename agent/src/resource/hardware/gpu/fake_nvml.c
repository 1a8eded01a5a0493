/* A management library with two GPUs, one that tells all and one that tells little, for tests:
 * each function has the signature of NVIDIA's nvml.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, DRIVER_NOT_LOADED = 9, NOT_SUPPORTED = 3, GPU_IS_LOST = 15 };
typedef unsigned long long u64;
typedef unsigned int u32;
typedef struct { int number; } *device;

static struct { int number; } devices[3] = {{0}, {1}, {2}};
static u64 looks; /* at all GPUs */

#define FIRST_ONLY(gpu) if ((gpu)->number != 0) return NOT_SUPPORTED

int nvmlInit_v2(void) {
#ifdef NO_DRIVER
    return DRIVER_NOT_LOADED;
#endif
    return SUCCESS;
}
int nvmlShutdown(void) { return SUCCESS; }
int nvmlSystemGetDriverVersion(char *text, u32 length) {
    snprintf(text, length, "550.54.14");
    return SUCCESS;
}
int nvmlDeviceGetCount_v2(u32 *count) {
    looks++;
#ifdef HANGS
    if (looks > 1) sleep(3600);
#endif
    *count = 3;
    return SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(u32 index, device *gpu) {
    if (index == 2) return GPU_IS_LOST;
    *gpu = (device)&devices[index];
    return SUCCESS;
}
int nvmlDeviceGetUUID(device gpu, char *text, u32 length) {
    snprintf(text, length, "GPU-0000000%d-1111-2222-3333-444444444444", gpu->number);
    return SUCCESS;
}
int nvmlDeviceGetName(device gpu, char *text, u32 length) {
    snprintf(text, length, gpu->number == 0 ? "NVIDIA H100 80GB HBM3" : "NVIDIA GeForce");
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(device gpu, struct { u32 gpu, memory; } *rates) {
    rates->gpu = gpu->number == 0 ? 75 : 0;
    rates->memory = 40;
    return SUCCESS;
}
int nvmlDeviceGetEncoderUtilization(device gpu, u32 *percent, u32 *period) {
    FIRST_ONLY(gpu);
    *percent = 20;
    *period = 167000;
    return SUCCESS;
}
int nvmlDeviceGetDecoderUtilization(device gpu, u32 *percent, u32 *period) {
    FIRST_ONLY(gpu);
    *percent = 10;
    *period = 167000;
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo_v2(device gpu, struct { u32 version; u64 total, reserved, free, used; } *memory) {
    FIRST_ONLY(gpu);
    memory->total = 80ULL << 30;
    memory->reserved = 1ULL << 30;
    memory->used = 20ULL << 30;
    memory->free = 59ULL << 30;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(device gpu, int sensor, u32 *celsius) {
    *celsius = 61;
    return SUCCESS;
}
int nvmlDeviceGetTemperatureThreshold(device gpu, int threshold, u32 *celsius) {
    FIRST_ONLY(gpu);
    *celsius = threshold == 0 ? 95 : 87;
    return SUCCESS;
}
int nvmlDeviceGetPowerUsage(device gpu, u32 *milliwatts) {
    FIRST_ONLY(gpu);
    *milliwatts = 350000;
    return SUCCESS;
}
int nvmlDeviceGetEnforcedPowerLimit(device gpu, u32 *milliwatts) {
    FIRST_ONLY(gpu);
    *milliwatts = 700000;
    return SUCCESS;
}
int nvmlDeviceGetTotalEnergyConsumption(device gpu, u64 *millijoules) {
    FIRST_ONLY(gpu);
    *millijoules = 1000000 + looks * 3500000;
    return SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(device gpu, int kind, int counter, u64 *errors) {
    FIRST_ONLY(gpu);
    *errors = kind == 0 ? 12 : 1;
    return SUCCESS;
}
int nvmlDeviceGetPcieReplayCounter(device gpu, u32 *replays) {
    FIRST_ONLY(gpu);
    *replays = 4;
    return SUCCESS;
}
/* With each look another 2.5 s of the power cap, and nothing of heat. */
int nvmlDeviceGetViolationStatus(device gpu, int policy, struct { u64 reference, time; } *violation) {
    FIRST_ONLY(gpu);
    violation->reference = 0;
    violation->time = policy == 0 ? looks * 2500000000ULL : 0;
    return SUCCESS;
}
