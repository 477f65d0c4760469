// SPDX-License-Identifier: Apache-2.0
#include "base/loop_thread.h"

#include <pthread.h>
#include <unistd.h>

namespace cvlan {

void name_this_thread(const std::string& name, int niceness) {
    (void)pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    // Of this thread alone, on Linux (nice(2)); failing, it is as urgent as the others.
    [[maybe_unused]] const int now = ::nice(niceness);
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
