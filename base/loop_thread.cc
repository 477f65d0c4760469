// SPDX-License-Identifier: Apache-2.0
#include "base/loop_thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace cvlan {

namespace {

// linux/sched/types.h, which can not stand beside glibc's sched.h: sched_attr, version 0.
struct Scheduling {
    uint32_t size = 48;
    uint32_t policy = SCHED_OTHER;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 0;  // nanoseconds of a slice; 0: as the kernel likes
    uint64_t deadline = 0;
    uint64_t period = 0;
};
static_assert(sizeof(Scheduling) == 48);

// Of this thread alone. Failing, it is scheduled as before.
void schedule_as(const Scheduling& wanted) { (void)syscall(SYS_sched_setattr, 0, &wanted, 0); }

}  // namespace

void name_this_thread(const std::string& name, int niceness) {
    (void)pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    if (niceness > 0) schedule_as({.policy = SCHED_BATCH, .nice = niceness});
}

void ask_for_short_slices() { schedule_as({.runtime = 100'000}); }  // the least there is

LoopThread::LoopThread(const std::string& name, int niceness)
    : thread_([this, name, niceness] {
          name_this_thread(name, niceness);
          loop_.run();
      }) {}

void LoopThread::stop() {
    if (!thread_.joinable()) return;
    loop_.post([this] { loop_.stop(); });
    thread_.join();
}

}  // namespace cvlan
