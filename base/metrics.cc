// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace cvlan::metrics {

namespace {

constexpr double kNanosecond = 1e-9;

// As the format wants it in a label's value and, but for the quote, in a help text.
std::string escaped(std::string_view value) {
    std::string text;
    for (char c : value) {
        if (c == '\n') {
            text += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') text += '\\';
        text += c;
    }
    return text;
}

std::vector<Label> labels_of(const std::vector<std::string>& names,
                             const std::vector<std::string>& values) {
    std::vector<Label> labels;
    for (size_t i = 0; i < names.size() && i < values.size(); ++i)
        labels.push_back({names[i], values[i]});
    return labels;
}

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

size_t open_descriptors() {
    std::error_code failure;
    const std::filesystem::directory_iterator entries("/proc/self/fd", failure);
    if (failure) return 0;
    return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

}  // namespace

void Histogram::observe(std::chrono::nanoseconds duration) {
    const double value = static_cast<double>(duration.count()) * kNanosecond;
    const auto* bucket = std::lower_bound(kBounds.begin(), kBounds.end(), value);
    const auto index = static_cast<size_t>(bucket - kBounds.begin());
    counts_.at(index).fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(static_cast<uint64_t>(std::max<int64_t>(duration.count(), 0)),
                      std::memory_order_relaxed);
}

std::array<uint64_t, Histogram::kBounds.size() + 1> Histogram::counts() const {
    std::array<uint64_t, kBounds.size() + 1> counts{};
    for (size_t i = 0; i < counts.size(); ++i)
        counts.at(i) = counts_.at(i).load(std::memory_order_relaxed);
    return counts;
}

double Histogram::sum_s() const {
    return static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) * kNanosecond;
}

void Text::begin(const Name& name, std::string_view type) {
    name_ = name.name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name.name, name.help, type);
}

void Text::line(std::string_view suffix, std::span<const Label> labels, double value) {
    text_ += name_;
    text_ += suffix;
    char before = '{';
    for (const Label& label : labels) {
        text_ += fmt::format("{}{}=\"{}\"", before, label.name, escaped(label.value));
        before = ',';
    }
    text_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", value);
}

void Text::sample(std::span<const Label> labels, double value) { line("", labels, value); }

void Text::counter(const Name& name, uint64_t value) {
    begin(name, "counter");
    sample({}, static_cast<double>(value));
}

void Text::gauge(const Name& name, double value) {
    begin(name, "gauge");
    sample({}, value);
}

void Text::buckets(std::span<const Label> labels, const Histogram& histogram) {
    const auto counts = histogram.counts();
    std::vector<Label> all(labels.begin(), labels.end());
    uint64_t so_far = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
        so_far += counts.at(i);
        const std::string bound = i < Histogram::kBounds.size()
                                      ? fmt::format("{}", Histogram::kBounds.at(i))
                                      : std::string("+Inf");
        all.push_back({"le", bound});
        line("_bucket", all, static_cast<double>(so_far));
        all.pop_back();
    }
    line("_sum", labels, histogram.sum_s());
    line("_count", labels, static_cast<double>(so_far));
}

void Text::histogram(const Name& name, const Histogram& histogram) {
    begin(name, "histogram");
    buckets({}, histogram);
}

void Text::counters(const Name& name, const Family<Counter>& family) {
    begin(name, "counter");
    family.each([&](const auto& values, const Counter& counter) {
        sample(labels_of(family.labels(), values), static_cast<double>(counter.value()));
    });
}

void write_process(Text& text) {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    text.begin({"process_cpu_seconds_total", "CPU time of this process, user and system."},
               "counter");
    text.sample({}, seconds(used.ru_utime) + seconds(used.ru_stime));

    uint64_t virtual_pages = 0, resident_pages = 0;
    std::ifstream("/proc/self/statm") >> virtual_pages >> resident_pages;
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    text.gauge({"process_virtual_memory_bytes", "Virtual memory of this process."},
               static_cast<double>(virtual_pages) * page);
    text.gauge({"process_resident_memory_bytes", "Resident memory of this process."},
               static_cast<double>(resident_pages) * page);

    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    text.gauge({"process_open_fds", "Open file descriptors."},
               static_cast<double>(open_descriptors()));
    text.gauge({"process_max_fds", "Most file descriptors this process may open."},
               static_cast<double>(limit.rlim_cur));
}

}  // namespace cvlan::metrics
