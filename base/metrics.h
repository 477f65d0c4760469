// SPDX-License-Identifier: Apache-2.0
#pragma once

// Figures for Prometheus: counters, gauges and histograms that any thread may change, and the text
// format 0.0.4 they are read in. A Family is one figure by the values of its labels. Those must be
// few, and never what a stranger chooses: beyond kMostSeries, further values are counted together
// as "other".

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cvlan::metrics {

class Counter {
public:
    void add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
    uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> value_ = 0;
};

class Gauge {
public:
    void add(int64_t change) { value_.fetch_add(change, std::memory_order_relaxed); }
    int64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<int64_t> value_ = 0;
};

// Durations in the buckets of kBounds (seconds, inclusive) and above.
class Histogram {
public:
    static constexpr std::array kBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                        0.1,    0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
    void observe(std::chrono::nanoseconds duration);

    // How many fell into each bucket, the one above all bounds last: not cumulated.
    std::array<uint64_t, kBounds.size() + 1> counts() const;
    double sum_s() const;

private:
    std::array<std::atomic<uint64_t>, kBounds.size() + 1> counts_{};
    std::atomic<uint64_t> sum_ns_ = 0;
};

inline constexpr size_t kMostSeries = 200;  // of one family

template <class T>
class Family {
public:
    explicit Family(std::vector<std::string> labels) : labels_(std::move(labels)) {}

    // The one of these values, one for each label. It lives as long as the family.
    T& with(const std::vector<std::string>& values) {
        const std::lock_guard lock(mutex_);
        const auto known = series_.find(values);
        if (known != series_.end()) return *known->second;
        const std::vector<std::string> others(labels_.size(), "other");
        auto& made = series_[series_.size() < kMostSeries ? values : others];
        if (!made) made = std::make_unique<T>();
        return *made;
    }
    const std::vector<std::string>& labels() const { return labels_; }
    template <class Visit>
    void each(Visit visit) const {
        const std::lock_guard lock(mutex_);
        for (const auto& [values, one] : series_) visit(values, *one);
    }

private:
    const std::vector<std::string> labels_;
    mutable std::mutex mutex_;
    std::map<std::vector<std::string>, std::unique_ptr<T>> series_;
};

struct Label {
    std::string_view name;
    std::string_view value;
};

struct Name {
    std::string_view name;
    std::string_view help;
};

// Writes the text. Every name once; what belongs to one name is written in one go.
class Text {
public:
    // What has several lines: begin(), then its samples, or the buckets of histograms.
    void begin(const Name& name, std::string_view type);
    void sample(std::span<const Label> labels, double value);
    void buckets(std::span<const Label> labels, const Histogram& histogram);

    void counter(const Name& name, uint64_t value);
    void gauge(const Name& name, double value);
    void histogram(const Name& name, const Histogram& histogram);
    void counters(const Name& name, const Family<Counter>& family);

    std::string take() { return std::move(text_); }

private:
    void line(std::string_view suffix, std::span<const Label> labels, double value);

    std::string name_;
    std::string text_;
};

// process_cpu_seconds_total, process_resident_memory_bytes, … as every exporter has them.
void write_process(Text& text);

}  // namespace cvlan::metrics
