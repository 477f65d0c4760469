// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace cvlan::metrics {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

TEST(Metrics, TextIsPrometheus) {
    Counter counter;
    counter.add(3);
    Text text;
    text.counter({"a_total", "Things."}, counter.value());
    text.gauge({"b", "A level."}, 1.5);
    EXPECT_EQ(text.take(),
              "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\n"
              "# HELP b A level.\n# TYPE b gauge\nb 1.5\n");
}

TEST(Metrics, HistogramCumulatesAndBoundsAreInclusive) {
    Histogram histogram;
    histogram.observe(500us);
    histogram.observe(501us);
    histogram.observe(1h);
    Text text;
    text.histogram({"t_seconds", "Time."}, histogram);
    const std::string said = text.take();
    EXPECT_THAT(said, HasSubstr("t_seconds_bucket{le=\"0.0005\"} 1\n"));
    EXPECT_THAT(said, HasSubstr("t_seconds_bucket{le=\"0.001\"} 2\n"));
    EXPECT_THAT(said, HasSubstr("t_seconds_bucket{le=\"10\"} 2\n"));
    EXPECT_THAT(said, HasSubstr("t_seconds_bucket{le=\"+Inf\"} 3\n"));
    EXPECT_THAT(said, HasSubstr("t_seconds_sum 3600.001001\n"));
    EXPECT_THAT(said, HasSubstr("t_seconds_count 3\n"));
}

// F104: what a stranger says in a label makes no line of its own.
TEST(Metrics, LabelsAreEscaped) {
    Family<Counter> family({"role"});
    family.with({"a\"} 1\nevil_total 7 \\"}).add();
    Text text;
    text.counters({"f_total", "By role."}, family);
    EXPECT_THAT(text.take(), HasSubstr("f_total{role=\"a\\\"} 1\\nevil_total 7 \\\\\"} 1\n"));
}

// F104: values without end make no more series than kMostSeries and one.
TEST(Metrics, SeriesAreBounded) {
    Family<Counter> family({"route", "class"});
    for (int i = 0; i < 10'000; ++i) family.with({fmt::format("r{}", i), "2xx"}).add();
    size_t series = 0;
    uint64_t all = 0, others = 0;
    family.each([&](const auto& values, const Counter& counter) {
        ++series;
        all += counter.value();
        if (values.front() == "other") others = counter.value();
    });
    EXPECT_EQ(series, kMostSeries + 1);
    EXPECT_EQ(all, 10'000u);
    EXPECT_EQ(others, 10'000u - kMostSeries);
}

TEST(Metrics, ThreadsLoseNothing) {
    Family<Counter> family({"who"});
    Histogram histogram;
    const auto work = [&] {
        for (int i = 0; i < 1000; ++i) {
            family.with({"all"}).add();
            histogram.observe(1ms);
        }
    };
    std::thread one(work), other(work);
    one.join();
    other.join();
    EXPECT_EQ(family.with({"all"}).value(), 2000u);
    EXPECT_EQ(histogram.counts().at(1), 2000u);
    EXPECT_DOUBLE_EQ(histogram.sum_s(), 2.0);
}

TEST(Metrics, ProcessTellsOfItself) {
    Text text;
    write_process(text);
    const std::string said = text.take();
    EXPECT_THAT(said, HasSubstr("\nprocess_resident_memory_bytes "));
    EXPECT_THAT(said, Not(HasSubstr("process_resident_memory_bytes 0\n")));
    EXPECT_THAT(said, Not(HasSubstr("process_open_fds 0\n")));
}

}  // namespace
}  // namespace cvlan::metrics
