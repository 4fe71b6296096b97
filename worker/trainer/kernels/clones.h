#pragma once

// MIXLN_CLONES before a function compiles it for the baseline, for AVX2 with FMA, and for AVX-512, and picks
// one when the program starts. Everything it calls must be MIXLN_INLINE to be compiled along. The sanitizers
// cannot run the code that picks (it runs before they are set up), so under them there is the baseline only.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define MIXLN_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define MIXLN_CLONES
#endif

// Inlined into each clone; nvcc compiles it for GPUs too.
#ifdef __CUDACC__
#define MIXLN_INLINE __host__ __device__ inline
#else
#define MIXLN_INLINE inline __attribute__((always_inline))
#endif
