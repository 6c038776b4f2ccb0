/** What the program prints, alone in a line, when every sum is right. */
export const SAMPLE_PASSED = 'every sum is right';

/** Memory of the GPU, a kernel, and its result back in the guest; no managed memory, which many vGPUs have not got. */
export const CUDA_SAMPLE = `#include <cstdio>

static const int COUNT = 2048;

__global__ void add(const int *one, const int *other, int *sum) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at < COUNT) sum[at] = one[at] + other[at];
}

static bool works(cudaError_t result, const char *what) {
  if (result == cudaSuccess) return true;
  fprintf(stderr, "%s: %s\\n", what, cudaGetErrorString(result));
  return false;
}

int main() {
  static int one[COUNT], other[COUNT], sum[COUNT];
  for (int at = 0; at < COUNT; at++) {
    one[at] = at;
    other[at] = 3 * at + 1;
  }
  const size_t bytes = sizeof(one);
  int *onDevice[3];
  for (int number = 0; number < 3; number++) {
    if (!works(cudaMalloc((void **)&onDevice[number], bytes), "cudaMalloc")) return 1;
  }
  if (!works(cudaMemcpy(onDevice[0], one, bytes, cudaMemcpyHostToDevice), "cudaMemcpy to the GPU")) return 1;
  if (!works(cudaMemcpy(onDevice[1], other, bytes, cudaMemcpyHostToDevice), "cudaMemcpy to the GPU")) return 1;
  add<<<COUNT / 256, 256>>>(onDevice[0], onDevice[1], onDevice[2]);
  if (!works(cudaGetLastError(), "kernel launch")) return 1;
  if (!works(cudaMemcpy(sum, onDevice[2], bytes, cudaMemcpyDeviceToHost), "cudaMemcpy from the GPU")) return 1;
  for (int at = 0; at < COUNT; at++) {
    if (sum[at] != 4 * at + 1) {
      fprintf(stderr, "sum %d is %d instead of %d\\n", at, sum[at], 4 * at + 1);
      return 1;
    }
  }
  puts("${SAMPLE_PASSED}");
  return 0;
}
`;
