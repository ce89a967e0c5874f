#pragma once
// Ampere and later: asynchronous copies of a thread, matrix loads and stores of a warp, tensor-core products of a warp.

namespace tsr {

/// sm_80 | thread | cp.async | Copies 16 bytes from global to shared memory, both aligned to 16; zeros where `valid` is false.
TSR_DEV void cp_async16(u32 to, const void* from, bool valid) {
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

/// sm_80 | thread | cp.async | Copies 8 bytes from global to shared memory, both aligned to 8; zeros where `valid` is false.
TSR_DEV void cp_async8(u32 to, const void* from, bool valid) {
    const int bytes = valid ? 8 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

/// sm_80 | thread | cp.async | Copies 4 bytes from global to shared memory, both aligned to 4; zeros where `valid` is false.
TSR_DEV void cp_async4(u32 to, const void* from, bool valid) {
    const int bytes = valid ? 4 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

/// sm_80 | thread | cp.async.commit_group | Closes the thread's group of copies.
TSR_DEV void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// sm_80 | thread | cp.async.wait_group | Waits until at most `groups` of the thread's latest groups are in flight.
template <int groups>
TSR_DEV void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

/// sm_80 | warp | ldmatrix | One 8 x 8 matrix of 16-bit elements, rows at the addresses of lanes 0 to 7.
TSR_DEV void ldmatrix_x1(u32 (&r)[1], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(address) : "memory");
}

/// sm_80 | warp | ldmatrix | Two 8 x 8 matrices of 16-bit elements, rows at the addresses of lanes 0 to 15.
TSR_DEV void ldmatrix_x2(u32 (&r)[2], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(address) : "memory");
}

/// sm_80 | warp | ldmatrix | Four 8 x 8 matrices of 16-bit elements, row i of matrix j at the address of lane 8 j + i.
TSR_DEV void ldmatrix_x4(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/// sm_80 | warp | ldmatrix.trans | As ldmatrix_x2, each matrix transposed.
TSR_DEV void ldmatrix_x2_trans(u32 (&r)[2], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(address) : "memory");
}

/// sm_80 | warp | ldmatrix.trans | As ldmatrix_x4, each matrix transposed.
TSR_DEV void ldmatrix_x4_trans(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/// sm_90 | warp | stmatrix | Two 8 x 8 matrices of 16-bit elements, rows to the addresses of lanes 0 to 15.
TSR_DEV void stmatrix_x2(u32 address, u32 r0, u32 r1) {
    asm volatile("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1,%2};" ::"r"(address), "r"(r0), "r"(r1) : "memory");
}

/// sm_90 | warp | stmatrix | Four 8 x 8 matrices of 16-bit elements, row i of matrix j to the address of lane 8 j + i.
TSR_DEV void stmatrix_x4(u32 address, u32 r0, u32 r1, u32 r2, u32 r3) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(r0), "r"(r1), "r"(r2), "r"(r3)
                 : "memory");
}

/// sm_90 | warp | stmatrix.trans | As stmatrix_x4, each matrix transposed.
TSR_DEV void stmatrix_x4_trans(u32 address, u32 r0, u32 r1, u32 r2, u32 r3) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(r0), "r"(r1), "r"(r2),
                 "r"(r3)
                 : "memory");
}

/// sm_80 | warp | mma.sync.m16n8k16 | c += a b, bf16 with f32 sums; c[e] is row lane/4 + 8 (e/2), column 2 (lane%4) + e%2.
TSR_DEV void mma_m16n8k16_bf16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// sm_80 | warp | mma.sync.m16n8k16 | c += a b, f16 with f32 sums.
TSR_DEV void mma_m16n8k16_f16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// sm_80 | warp | mma.sync.m16n8k8 | c += a b, tf32 (f32_to_tf32) with f32 sums.
TSR_DEV void mma_m16n8k8_tf32(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// sm_80 | warp | mma.sync.m16n8k32 | c += a b, signed bytes with wrapping i32 sums.
TSR_DEV void mma_m16n8k32_s8(i32 (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// sm_80 | warp | mma.sync.m16n8k32 | c += a b, unsigned bytes with wrapping i32 sums.
TSR_DEV void mma_m16n8k32_u8(i32 (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// sm_89 | warp | mma.sync.m16n8k32 | c += a b, e4m3 with f32 sums.
TSR_DEV void mma_m16n8k32_e4m3(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace tsr
