#pragma once

#include "backend/cuda/scalar_text.h"
#include "schedule/stages.h"

namespace tessera::cuda {

/// Writes how threads that hold a partial each combine them, in a fixed tree, so that all have the same bits.
class CombineText {
public:
    /// `declare` gives a variable a name.
    CombineText(Lines& lines, ScalarText& scalars, std::function<std::string(const Expr&)> declare)
        : lines_(lines), scalars_(scalars), declare_(std::move(declare)) {}

    /// `parts`: the thread's partial, per component. Of one warp its lanes; several leave theirs in shared memory, from byte
    /// `shared` on.
    void write(const Stage& stage, const std::vector<std::string>& parts, std::int64_t warps, std::int64_t shared);

private:
    void lanes(const Stage& s, const std::vector<std::string>& parts);
    std::string shuffled(DType t, const std::string& value, const std::string& mask);
    std::string thread() { return scalars_.call("tid") + "()"; }

    Lines& lines_;
    ScalarText& scalars_;
    std::function<std::string(const Expr&)> declare_;
};

}  // namespace tessera::cuda
