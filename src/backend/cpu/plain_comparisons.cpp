// Comparison::hidden() undone. Its detour over bytes costs two instructions where masks have registers of their own:
//
//   mux(uint8(c), false, true)  ->  c
#include "backend/cpu/halide_ir.h"

namespace tessera::cpu {
namespace {

namespace ir = Halide::Internal;

class PlainComparisons : public ir::IRMutator {
private:
    using ir::IRMutator::visit;

    Halide::Expr visit(const ir::Call* op) override {
        const auto* byte = op->is_intrinsic(ir::Call::mux) && op->args.size() == 3 ? op->args[0].as<ir::Cast>() : nullptr;
        const bool hides = byte != nullptr && byte->type.bits() == 8 && byte->value.type().is_bool() && op->type.is_bool() &&
                           ir::is_const_zero(op->args[1]) && ir::is_const_one(op->args[2]);
        return hides ? mutate(byte->value) : ir::IRMutator::visit(op);
    }
};

}  // namespace

void show_comparisons(Halide::Pipeline& pipeline) { pipeline.add_custom_lowering_pass(new PlainComparisons); }

}  // namespace tessera::cpu
