// SPDX-License-Identifier: Apache-2.0
#pragma once

// Times of things done in turn, in pairs: ours and what it is measured against, one after the
// other, the order changing from pair to pair, so that what slows the machine slows both.

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace cvlan::bench {

using Samples = std::vector<double>;  // milliseconds, or ratios

inline double quantile(Samples samples, double q) {
    if (samples.empty()) return 0;
    std::sort(samples.begin(), samples.end());
    const double at = q * static_cast<double>(samples.size() - 1);
    const auto low = static_cast<size_t>(at);
    const size_t high = std::min(low + 1, samples.size() - 1);
    const double part = at - static_cast<double>(low);
    return samples[low] * (1 - part) + samples[high] * part;
}
inline double median(const Samples& samples) { return quantile(samples, 0.5); }

// "12.34 (11.90-13.02)": the median and the 10th to 90th percentile.
inline std::string summary(const Samples& samples) {
    return fmt::format("{:.3f} ({:.3f}-{:.3f})", median(samples), quantile(samples, 0.1),
                       quantile(samples, 0.9));
}

inline double milliseconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

struct Pairs {
    std::string name;
    double limit = 0;
    Samples ours{};
    Samples plain{};

    // Of the pairs, not of the medians: what drifts over the run is in both halves of a pair.
    Samples ratios() const {
        Samples ratios;
        for (size_t i = 0; i < ours.size(); ++i) ratios.push_back(ours[i] / plain[i]);
        return ratios;
    }
    double ratio() const { return median(ratios()); }

    // `before` and `after` are not timed.
    struct Half {
        std::function<void()> before, work, after;
    };
    void run(int pairs, const Half& our_half, const Half& plain_half) {
        const auto timed = [](const Half& half, Samples& into) {
            if (half.before) half.before();
            into.push_back(milliseconds(half.work));
            if (half.after) half.after();
        };
        for (int i = 0; i < pairs; ++i) {
            if (i % 2 == 0) timed(our_half, ours);
            timed(plain_half, plain);
            if (i % 2 != 0) timed(our_half, ours);
        }
    }
};

inline std::string json_array(const Samples& samples) {
    return fmt::format("[{:.4f}]", fmt::join(samples, ","));
}

}  // namespace cvlan::bench
