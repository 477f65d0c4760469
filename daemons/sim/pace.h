// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace cvlan::sim {

// So many of something a second, dealt out by the clock: what is late is made up for.
class Pace {
public:
    void set(double per_second) { per_second_ = per_second; }
    // How many are due `seconds` after the start, less those that were before.
    size_t due(double seconds) {
        const double wanted = per_second_ * seconds - done_;
        if (wanted < 1) return 0;
        const auto count = static_cast<size_t>(wanted);
        done_ += static_cast<double>(count);
        return count;
    }

private:
    double per_second_ = 0;
    double done_ = 0;
};

}  // namespace cvlan::sim
