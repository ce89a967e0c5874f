#include "error/error_rows.h"

namespace tessera {
namespace {

const Dim i("i"), j("j"), k("k"), t("t");
const Input a("a", f32, {i}), b("b", f64, {i}), u("u", u8, {i}), table("table", f32, {k});

// One-line statements: the marked token is looked for in the line.
// clang-format off
const std::vector<ErrorRow> rows{
    {E0101_duplicate_name, [] { Func f("f"), g("a"); g(i) = a(i); f(i) = g(i); Algorithm({f}, {a}); }},
    {E0102_bad_name, [] { Func blurred("blurred image"); }},
    {E0103_unknown_dim, [] { Func f("f"); f(i) = a(i) * table(k); }},
    {E0104_repeated_dim, [] { Func f("f"); f(i, i) = a(i); }},
    {E0105_extent, [] { Dim tap("tap", -3); }},
    {E0106_dim_mismatch, [] { Func f("f"); Dim p("p", 4), q("q", 5); f(i) = a(i); Algorithm({f}, {a}, {.require = {{p.extent(), q.extent()}}}); }},
    {E0201_dtype_mismatch, [] { Func f("f"); f(i) = a(i) + b(i); }},
    {E0202_dtype_unsupported, [] { Func f("f"); f(i) = exp(u(i)); }},
    {E0203_literal, [] { Func f("f"); f(i) = u(i) + 300; }},
    {E0204_index_type, [] { Func f("f"); f(i) = table(a(i)); }},
    {E0205_narrowing, [] { Func f("f", f32); f(i) = b(i); }},
    {E0206_policy, [] { Input x("x", Numerics{.storage = f32, .compute = f16, .accumulate = f32}, {i}); }},
    {E0301_rank, [] { Func f("f"); f(i) = a(i, 0); }},
    {E0302_redefined, [] { Func f("f"); f(i) = a(i); f(i) = a(i) * 2; }},
    {E0303_undefined, [] { Func f("f"), blur("blur"); f(i) = blur(i - 1); }},
    {E0304_recursive, [] { static_cast<void>(parse_algorithm("tessera graph 1\ndim i\nf(i) : f32 = f(i - 1) * 2f32\narguments\noutputs f\n")); }},
    {E0305_tuple, [] { Func f("f"), pair("pair"); pair(i) = Tuple{a(i), b(i)}; f(i) = pair(i) * 2; }},
    {E0306_left_hand_side, [] { Func f("f"); f(i + 1) = a(i); }},
    {E0307_missing_argument, [] { Func f("f"); f(i) = a(i) + cast(f32, u(i)); Algorithm({f}, {a}); }},
    {E0308_unused_argument, [] { Func f("f"); f(i) = a(i); Algorithm({f}, {a, table}); }},
    {E0309_reduction, [] { Func f("f"); f() = sum({i}, cast(i32, u(i)), {.order = Order::kahan()}); }},
    {E0310_monoid, [] { const Monoid two = monoid("two", [](const auto&) { return Tuple{0}; }, [](const Tuple& x, const Tuple&) { return Tuple{x[0], x[0]}; }); static_cast<void>(reduce(two, {i}, {a(i)})); }},
    {E0311_recurrence, [] { Func h("h"); recurrence(i, {{h(i), cast(f32, 0)}}, [](const Self& s) -> Tuple { return {s[0](i) + a(i)}; }); Algorithm({h}, {a}); }},
    {E0312_scatter, [] { static_cast<void>(scatter(plus, {to(i, u(i))}, {i}, cast(u32, 1))); }},
    {E0314_in_place, [] { Func f("f"); f(i) = b(i); Algorithm({f}, {b}, {.in_place = {{"bb", "f"}}}); }},
    {E0315_effect, [] { Func f("f"); f(i) = a(i) * uniform(1, {i}); Algorithm({f}, {a}, {.effects = std::vector<EffectKind>{}}); }},
    {E0316_privilege, [] { Func f("f"); f(i) = a(i) * 2 + 1; Algorithm({f}, {{a, Privilege::reduce}}, {.in_place = {{"a", "f"}}}); }},
    {E0317_routine, [] { Func f("f"); f(i) = a(i) * 2; static_cast<void>(routine("twice", f, {.operands = {a, table}})); }},
    {E0401_out_of_bounds, [] { Func f("f"); f(i) = a(i + 1) - a(i); Algorithm({f}, {a}); }},
    {E0402_unbounded, [] { Func f("f"); Input at("at", i32, {i}); f(i) = table(at(i)); Algorithm({f}, {table, at}); }},
    {E0601_syntax, [] { static_cast<void>(parse_algorithm("tessera graph 1\ndim i\ninput a : f32[i]\nf(i) : f32 = a(i +)\n")); }},
    {E0603_version, [] { static_cast<void>(parse_algorithm("tessera graph 9\n")); }},
    {E0604_size, [] { static_cast<void>(parse_algorithm("tessera graph 1\ndim i\nf(i) : i64 = " + std::string(300, '(') + "i\n")); }},
};
// clang-format on

const std::vector<CoveredElsewhere> elsewhere{
    {E0313_broadcast, "test/unit/ops/test_broadcast.cpp"},
    {E0501_unknown_stage, "test/unit/schedule/test_bind.cpp"},
    {E0502_unknown_loop, "test/unit/schedule/test_bind.cpp"},
    {E0503_tile, "test/unit/schedule/test_bind.cpp"},
    {E0504_placement, "test/unit/schedule/test_bind.cpp"},
    {E0505_order, "test/unit/schedule/test_bind.cpp"},
    {E0506_loop_kind, "test/unit/schedule/test_bind.cpp"},
    {E0507_tail, "test/unit/schedule/test_bind.cpp"},
    {E0508_storage, "test/unit/schedule/test_schedule_json.cpp"},
    {E0509_derived_stage, "test/unit/schedule/test_bind.cpp"},
    {E0510_merge_conflict, "test/unit/schedule/test_schedule_algebra.cpp"},
    {E0511_variant, "test/unit/schedule/test_condition.cpp"},
    {E0512_tile_and_loops, "test/unit/schedule/test_schedule_algebra.cpp"},
    {E0602_schema, "test/unit/schedule/test_schedule_json.cpp"},
    {E0605_file, "test/unit/compile/test_library.cpp"},
    {E0701_argument, "test/unit/interpreter/test_oracle.cpp"},
    {E0702_argument_dtype, "test/unit/interpreter/test_oracle.cpp"},
    {E0703_argument_rank, "test/unit/interpreter/test_oracle.cpp"},
    {E0704_argument_extent, "test/unit/interpreter/test_oracle.cpp"},
    {E0705_argument_stride, "test/unit/runtime/test_kernel_call.cpp"},
    {E0706_argument_alignment, "test/unit/runtime/test_kernel_call.cpp"},
    {E0707_argument_overlap, "test/unit/compile/test_compile.cpp"},
    {E0708_argument_read_only, "test/unit/interpreter/test_oracle.cpp"},
    {E0709_argument_value, "test/unit/interpreter/test_oracle.cpp"},
    {E0710_argument_device, "test/unit/runtime/test_kernel_call.cpp"},
    {E0711_out_of_memory, "test/unit/runtime/test_buffer.cpp"},
    {E0712_kernel_failed, "test/unit/runtime/test_kernel_call.cpp"},
    {E0713_unconverged, "test/unit/cpu/test_cpu_recurrences.cpp"},
    {E0801_unknown_param, "test/generator/test_generator_main.cpp"},
    {E0802_unknown_target, "test/unit/compile/test_target.cpp"},
    {E0803_target_unavailable, "test/unit/compile/test_target.cpp"},
    {E0804_toolchain, "test/unit/compile/test_library.cpp"},
    {E0805_usage, "test/generator/test_generator_main.cpp"},
    {E0806_missing_routine, "test/unit/compile/test_routine_calls.cpp"},
    {L0901_not_on_target, "test/fuzz/fuzz_case.cpp"},
    {L0902_size, "test/unit/runtime/test_kernel_call.cpp"},
    {L0903_schedule, "test/unit/schedule/test_bind.cpp"},
    {L0904_derivative, "test/unit/autodiff/test_save_policies.cpp"},
    {B0951_internal, "test/unit/schedule/test_bind.cpp"},
    {E1001_no_derivative, "test/unit/autodiff/test_gradient_api.cpp"},
    {E1002_not_differentiable, "test/unit/autodiff/test_gradient_api.cpp"},
    {E1003_derivative_shape, "test/unit/autodiff/test_gradient_api.cpp"},
    {E1004_custom_rule, "test/unit/autodiff/test_custom_rules.cpp"},
};

}  // namespace

const std::vector<ErrorRow>& front_end_error_rows() { return rows; }
const std::vector<CoveredElsewhere>& codes_covered_elsewhere() { return elsewhere; }

}  // namespace tessera
