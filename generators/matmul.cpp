#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// x * Phi(x), Phi the distribution function of the standard normal.
Expr gelu(const Expr& x) {
    const double half = 0.70710678118654752440;  // sqrt(1/2)
    if (x.dtype() == f64) return 0.5 * x * (1.0 + erf(x * half));
    return 0.5f * x * (1.0f + erf(x * static_cast<float>(half)));
}

/// C(m, n) = epilogue(sum over k of A(m, k) B(k, n)). bf16 accumulates in f32 and is stored as bf16. i8 accumulates in i32, which
/// is what C holds without an epilogue; an epilogue makes f32 of it.
Algorithm matmul(DType dtype, const std::string& epilogue) {
    Dim m("m"), n("n"), k("k");
    Input A("A", dtype, {m, k}), B("B", dtype, {k, n});
    const DType accumulator = dtype == bf16 ? f32 : dtype == i8 ? i32 : dtype;
    const DType values = dtype == i8 ? f32 : accumulator;
    const auto convert = [](DType to, const Expr& e) { return e.dtype() == to ? e : cast(to, e); };
    const Expr product = sum({k}, convert(accumulator, A(m, k)) * convert(accumulator, B(k, n)));
    Func C("C");
    if (epilogue == "none") {
        C(m, n) = dtype == bf16 ? cast(bf16, product) : product;
        return Algorithm({C}, {A, B}, {.name = "matmul"});
    }
    Input bias("bias", values, {n});
    const Expr biased = convert(values, product) + bias(n);
    const Expr out = epilogue == "bias_gelu" ? gelu(biased) : epilogue == "bias_relu" ? relu(biased) : biased;
    C(m, n) = dtype == bf16 ? cast(bf16, out) : out;
    return Algorithm({C}, {A, B, bias}, {.name = "matmul"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("matmul", "C = epilogue(A B)",
                                     {param("dtype", f32, {f32, f64, bf16, i8}),
                                      param("epilogue", "none", {"none", "bias", "bias_relu", "bias_gelu"})},
                                     [](const Params& p) { return matmul(p.dtype("dtype"), p.text("epilogue")); })});
}
