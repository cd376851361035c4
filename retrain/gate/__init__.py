"""Is a challenger better than the champion? What is compared, and the verdict; pure but for the stopwatch."""
