"""Where tying the phases of upsampling is free, and where it costs something."""
