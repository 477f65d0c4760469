// SPDX-License-Identifier: Apache-2.0
#include "base/loop_thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace cvlan {

void name_this_thread(const std::string& name, int niceness) {
    (void)pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    // Of this thread alone, on Linux (nice(2)); failing, it is as urgent as the others.
    [[maybe_unused]] const int now = ::nice(niceness);
}

void ask_for_short_slices() {
    // linux/sched/types.h, which can not stand beside glibc's sched.h: sched_attr, version 0.
    struct {
        uint32_t size = 48;
        uint32_t policy = SCHED_OTHER;
        uint64_t flags = 0;
        int32_t nice = 0;
        uint32_t priority = 0;
        uint64_t runtime = 100'000;  // nanoseconds, the least there is
        uint64_t deadline = 0;
        uint64_t period = 0;
    } wanted;
    static_assert(sizeof wanted == 48);
    (void)syscall(SYS_sched_setattr, 0, &wanted, 0);
}

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
